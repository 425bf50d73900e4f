/** A station that speaks bytes: packets written from the layouts of MQTT 3.1.1, so that a wrong one can be said too. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { commandTopic, stateTopic, uplinkTopic } from '@waystation/protocol/topics';
import type { StationCode } from '@waystation/protocol/station-code';
import { death, tokenOf, uplinkPayload } from './harness.ts';

type Bytes = readonly number[] | Uint8Array;

/** First byte, remaining length in its shortest form (2.2.3), body. */
export function packet(first_byte: number, ...body: Bytes[]): Buffer {
  const bytes = Buffer.concat(body.map((part) => Buffer.from(part)));
  const head = [first_byte];
  let length = bytes.length;
  do {
    head.push(length > 127 ? (length % 128) | 0x80 : length);
    length = Math.floor(length / 128);
  } while (length > 0);
  return Buffer.concat([Buffer.from(head), bytes]);
}

export const uint16 = (value: number) => [value >> 8, value & 0xff];

/** A field with its length before it (1.5.3). */
export function field(text: string | Bytes): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text);
  return Buffer.concat([Buffer.from(uint16(bytes.length)), bytes]);
}

export interface ConnectParts {
  name: string;
  level: number;
  flags: number;
  keepalive_s: number;
  client_id: string | Bytes;
  will_topic: string | Bytes | null;
  will_message: string | Bytes | null;
  user: string | Bytes | null;
  password: string | Bytes | null;
  trailing: Bytes;
}

/** User name, password, will retained at QoS 1, clean session. */
export const HONEST_FLAGS = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02;

/** A CONNECT of an honest station, spoiled by `parts`. */
export function connectPacket(code: StationCode, parts: Partial<ConnectParts> = {}): Buffer {
  const all: ConnectParts = {
    name: 'MQTT',
    level: 4,
    flags: HONEST_FLAGS,
    keepalive_s: 60,
    client_id: code,
    will_topic: stateTopic(code),
    will_message: JSON.stringify(death('a')),
    user: code,
    password: tokenOf(code),
    trailing: [],
    ...parts,
  };
  const payload = [all.client_id, all.will_topic, all.will_message, all.user, all.password];
  return packet(
    0x10,
    field(all.name),
    [all.level, all.flags],
    uint16(all.keepalive_s),
    ...payload.filter((part) => part !== null).map(field),
    all.trailing,
  );
}

export const publishPacket = (
  topic: string | Bytes,
  payload: string | Bytes,
  flags = 0,
  packet_id: number | null = null,
) =>
  packet(
    0x30 | flags,
    field(topic),
    packet_id === null ? [] : uint16(packet_id),
    Buffer.from(typeof payload === 'string' ? Buffer.from(payload) : payload),
  );

/** Records `first` and on, at QoS 0. */
export const uplinkPacket = (
  code: StationCode,
  first: number,
  stream: 'event' | 'sample' = 'event',
) => publishPacket(uplinkTopic(code, stream), uplinkPayload(first));

export const subscribePacket = (packet_id: number, filters: [string | Bytes, number][]) =>
  packet(0x82, uint16(packet_id), ...filters.flatMap(([filter, qos]) => [field(filter), [qos]]));

export const unsubscribePacket = (packet_id: number, filters: (string | Bytes)[]) =>
  packet(0xa2, uint16(packet_id), ...filters.map(field));

export const PINGREQ = packet(0xc0);
export const PINGRESP = packet(0xd0);
export const DISCONNECT = packet(0xe0);
export const connack = (code: number) => packet(0x20, [0, code]);
export const suback = (packet_id: number, codes: number[]) =>
  packet(0x90, uint16(packet_id), codes);

export interface RawStation {
  readonly socket: Socket;
  send(...packets: Bytes[]): void;
  /** The next packet of the gateway, whole; `null` when the connection ended before it. */
  next(): Promise<Buffer | null>;
  /** What was not asked for with `next`, once the connection has ended. */
  untilClosed(): Promise<Buffer[]>;
}

/** Cuts a whole packet off the front of `bytes`, or returns `null`. */
function cut(bytes: Buffer): [Buffer, Buffer] | null {
  let length = 0;
  for (let at = 1; at <= 4 && at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 128 ** (at - 1);
    if (byte & 0x80) continue;
    const end = at + 1 + length;
    return bytes.length < end ? null : [bytes.subarray(0, end), bytes.subarray(end)];
  }
  return null;
}

export async function rawStation(port: number, ca: string | null = null): Promise<RawStation> {
  const host = '127.0.0.1';
  const socket = ca === null ? createConnection({ host, port }) : connectTls({ host, port, ca });
  const packets: Buffer[] = [];
  let bytes: Buffer = Buffer.alloc(0);
  const end = { seen: false };
  let wake = () => {};
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let parts = cut(bytes); parts !== null; parts = cut(bytes)) {
      packets.push(parts[0]);
      bytes = parts[1];
    }
    wake();
  });
  socket.on('close', () => {
    end.seen = true;
    wake();
  });
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  await once(socket, ca === null ? 'connect' : 'secureConnect');
  socket.setNoDelay(true);
  return {
    socket,
    send: (...parts) => {
      socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    },
    async next() {
      while (packets.length === 0 && !end.seen) await changed();
      return packets.shift() ?? null;
    },
    async untilClosed() {
      while (!end.seen) await changed();
      if (bytes.length > 0) throw new Error(`part of a packet: ${bytes.toString('hex')}`);
      return packets.splice(0);
    },
  };
}

/** Connects and is accepted; `subscribed` hears its commands and acknowledgements too. */
export async function acceptedStation(
  port: number,
  code: StationCode,
  parts: Partial<ConnectParts> = {},
  ca: string | null = null,
): Promise<RawStation> {
  const here = await rawStation(port, ca);
  here.send(connectPacket(code, parts));
  const answer = await here.next();
  if (answer === null || !answer.equals(connack(0)))
    throw new Error(`not accepted: ${answer?.toString('hex')}`);
  return here;
}

/** Subscribes to the commands at `qos`, and waits for the answer. */
export async function hearCommands(here: RawStation, code: StationCode, qos: number) {
  here.send(subscribePacket(1, [[commandTopic(code), qos]]));
  return here.next();
}
