/** A station under load, as thin as it can be: a socket, MQTT packets by the library's encoder, two streams. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { generate, parser } from 'mqtt-packet';
import type { StationCode } from '@waystation/protocol/station-code';
import { ackTopic, uplinkTopic } from '@waystation/protocol/topics';
import { Ack } from '@waystation/protocol/uplink';
import { streamLoad, type StreamLoad } from './station-stream.ts';

export interface LeanStation {
  code: StationCode;
  socket: Socket;
  event: StreamLoad;
  sample: StreamLoad;
  turn: number;
  heard_at: number;
}

const KEEPALIVE_S = 300;

/** Sends what the window lets. Returns how many messages went. */
export function send(station: LeanStation, load: StreamLoad, window: number): number {
  let sent = 0;
  for (let payload = load.next(window); payload; payload = load.next(window)) {
    sent += 1;
    station.socket.write(
      generate({
        cmd: 'publish',
        topic: uplinkTopic(station.code, load.stream),
        payload,
        qos: 0,
        dup: false,
        retain: false,
      }),
    );
  }
  return sent;
}

export interface LeanOptions {
  code: StationCode;
  port: number;
  password: string;
  /** Wall time (ms) before the first record. */
  began_at: number;
  /** The address to connect from: one address has 28,000 ports. */
  from?: string;
  /** After each acknowledgement was taken in. */
  onAck: (station: LeanStation, ack: Ack) => void;
}

/** Resolves when the station is subscribed. Rejects when it is refused or cut before. */
export async function connectLean(options: LeanOptions): Promise<LeanStation> {
  const { code, port, password, began_at, onAck } = options;
  const socket = connect({
    host: '127.0.0.1',
    port,
    noDelay: true,
    ...(options.from === undefined ? {} : { localAddress: options.from }),
  });
  const reader = parser();
  const epoch = randomBytes(6).toString('hex');
  const station: LeanStation = {
    code,
    socket,
    event: streamLoad(code, 'event', epoch, began_at),
    sample: streamLoad(code, 'sample', epoch, began_at),
    turn: 0,
    heard_at: 0,
  };
  socket.on('data', (bytes) => reader.parse(bytes));
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: code,
      username: code,
      password: Buffer.from(password),
      keepalive: KEEPALIVE_S,
    }),
  );
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${code} was disconnected`)));
    reader.on('packet', (packet) => {
      if (packet.cmd === 'connack') {
        if (packet.returnCode !== 0)
          return reject(new Error(`${code} was refused (${packet.returnCode})`));
        socket.write(
          generate({
            cmd: 'subscribe',
            messageId: 1,
            subscriptions: [{ topic: ackTopic(code), qos: 0 }],
          }),
        );
      } else if (packet.cmd === 'suback') {
        resolve();
      } else if (packet.cmd === 'publish') {
        const ack = Ack.parse(JSON.parse(packet.payload.toString()));
        station[ack.stream].acknowledge(ack);
        station.heard_at = performance.now();
        onAck(station, ack);
      }
    });
  });
  return station;
}
