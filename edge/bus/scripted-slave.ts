/** A Modbus RTU slave for the tests of this folder: it writes its own bytes with its own CRC, and misbehaves on demand. */
import type { Clock } from '@waystation/runtime/clock';
import type { MemoryDevice } from './memory-line.ts';

/** What one unit holds; addresses from 0. */
export interface UnitMemory {
  coils: boolean[];
  inputs: boolean[];
  holding: number[];
  words: number[];
}

/** Bytes that go out `after_ms` from now. */
export interface Delivery {
  after_ms: number;
  bytes: Uint8Array;
}
/** `honest` is the right answer, null when the request is for nobody here. */
export type Behaviour = (honest: Uint8Array | null, request: Uint8Array) => Delivery[];

export interface ScriptedSlave {
  /** Every request as it came, oldest first. */
  readonly requests: Uint8Array[];
  readonly units: Map<number, UnitMemory>;
  /** For the next request only; several are used up in order. */
  next(...behaviours: Behaviour[]): void;
  /** For every request until changed. */
  always(behaviour: Behaviour): void;
}

export const honest: Behaviour = (reply) => (reply ? [{ after_ms: 5, bytes: reply }] : []);
export const silent: Behaviour = () => [];
export const after =
  (after_ms: number): Behaviour =>
  (reply) =>
    reply ? [{ after_ms, bytes: reply }] : [];
/** The reply as `change` makes it. */
export const changed =
  (change: (reply: Uint8Array) => Uint8Array): Behaviour =>
  (reply) =>
    reply ? [{ after_ms: 5, bytes: change(reply) }] : [];

export function scriptedSlave(
  device: MemoryDevice,
  clock: Pick<Clock, 'after'>,
  units: Record<number, Partial<UnitMemory>>,
): ScriptedSlave {
  const memory = new Map<number, UnitMemory>();
  for (const [unit, held] of Object.entries(units)) {
    memory.set(Number(unit), { coils: [], inputs: [], holding: [], words: [], ...held });
  }
  const requests: Uint8Array[] = [];
  const once: Behaviour[] = [];
  let usual: Behaviour = honest;
  device.onData((bytes) => {
    const request = bytes.slice();
    requests.push(request);
    const behaviour = once.shift() ?? usual;
    const held = memory.get(request[0] ?? 0);
    const reply = held && isWhole(request) ? answer(request, held) : null;
    for (const delivery of behaviour(reply, request)) {
      clock.after(delivery.after_ms, () => device.write(delivery.bytes));
    }
  });
  return {
    requests,
    units: memory,
    next: (...behaviours) => void once.push(...behaviours),
    always: (behaviour) => {
      usual = behaviour;
    },
  };
}

/** CRC-16/MODBUS by nibble table, not the way the master computes it. */
const NIBBLES = [
  0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401, 0xa001, 0x6c00, 0x7800, 0xb401,
  0x5000, 0x9c01, 0x8801, 0x4400,
];
export function slaveCrc(bytes: Iterable<number>): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc = (crc >> 4) ^ (NIBBLES[(crc ^ byte) & 15] ?? 0);
    crc = (crc >> 4) ^ (NIBBLES[(crc ^ (byte >> 4)) & 15] ?? 0);
  }
  return crc;
}

/** A frame of these bytes: CRC behind them, low byte first. */
export function sealed(...bytes: number[]): Uint8Array {
  const crc = slaveCrc(bytes);
  return Uint8Array.from([...bytes, crc & 0xff, crc >> 8]);
}

function isWhole(request: Uint8Array): boolean {
  return request.length === 8 && slaveCrc(request) === 0;
}

function answer(request: Uint8Array, held: UnitMemory): Uint8Array {
  const [unit = 0, fc = 0, high = 0, low = 0, top = 0, bottom = 0] = request;
  const address = high * 256 + low;
  const argument = top * 256 + bottom;
  const refuse = (code: number) => sealed(unit, fc + 128, code);
  if (fc === 1 || fc === 2) {
    const bits = (fc === 1 ? held.coils : held.inputs).slice(address, address + argument);
    if (bits.length < argument) return refuse(2);
    const packed: number[] = Array.from({ length: Math.ceil(argument / 8) }, () => 0);
    bits.forEach((bit, at) => {
      if (bit) packed[at >> 3] = (packed[at >> 3] ?? 0) + 2 ** (at % 8);
    });
    return sealed(unit, fc, packed.length, ...packed);
  }
  if (fc === 3 || fc === 4) {
    const words = (fc === 3 ? held.holding : held.words).slice(address, address + argument);
    if (words.length < argument) return refuse(2);
    return sealed(unit, fc, argument * 2, ...words.flatMap((word) => [word >> 8, word & 255]));
  }
  if (fc === 5 && address < held.coils.length) {
    held.coils[address] = argument === 0xff00;
    return request;
  }
  if (fc === 6 && address < held.holding.length) {
    held.holding[address] = argument;
    return request;
  }
  return refuse(fc === 5 || fc === 6 ? 2 : 1);
}
