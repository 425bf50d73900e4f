/**
 * A Modbus RTU slave that writes its own bytes (Modbus Application Protocol V1.1b3; Serial Line V1.02):
 * its CRC, its framing and its replies share nothing with the agent, so that a mistake of either shows.
 */
import type { Clock } from '@waystation/runtime/clock';
import type { LineBehaviour } from './behaviours.ts';

/** Clause 7 of the Application Protocol. */
export const EXCEPTION = {
  illegalFunction: 1,
  illegalAddress: 2,
  illegalValue: 3,
  deviceFailure: 4,
  busy: 6,
} as const;
export type ExceptionCode = (typeof EXCEPTION)[keyof typeof EXCEPTION];

/** Bytes further apart than this belong to different frames; far above t3.5, because a pty knows no speed. */
const FRAME_GAP_MS = 20;
/** The longest RTU frame (Serial Line 2.5.1). */
const FRAME_BYTES_MAX = 256;
const BROADCAST = 0;
/** Limits of one read, Application Protocol 6.1 to 6.4. */
const BITS_MAX = 2000;
const WORDS_MAX = 125;

export type BitTable = 'coil' | 'discrete';
export type WordTable = 'holding' | 'input';

/** What one unit address answers; `null` means an address it does not have. */
export interface RegisterBank {
  readonly unit: number;
  readBit(table: BitTable, address: number): boolean | null;
  readWord(table: WordTable, address: number): number | null;
  /** Returns an exception code, or null when done. */
  writeCoil(address: number, on: boolean): ExceptionCode | null;
  writeHolding(address: number, value: number): ExceptionCode | null;
}

/** The device's end of a line: a pty, or one in memory. */
export interface DeviceLine {
  write(bytes: Uint8Array): void;
  /** The listener must not keep `bytes`. */
  onData(listener: (bytes: Uint8Array) => void): void;
}

export interface SlaveCounters {
  requests: number;
  crc_errors: number;
  /** Whole frames for another unit. */
  not_ours: number;
}

export interface ModbusSlave {
  readonly counters: Readonly<SlaveCounters>;
}

/** CRC-16/MODBUS, bit by bit as the Serial Line guide writes it (6.2.2); check value of "123456789" is 0x4B37. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

/** Appends the CRC, low byte first. */
export function withCrc(body: readonly number[]): Uint8Array {
  const crc = crc16(Uint8Array.from(body));
  return Uint8Array.from([...body, crc & 0xff, crc >>> 8]);
}

/** How long a request with these first bytes is; `null` while that cannot be told yet. */
function requestLength(bytes: Uint8Array): number | null {
  const function_code = bytes[1];
  if (function_code === undefined) return null;
  if (function_code !== 15 && function_code !== 16) return 8;
  const byte_count = bytes[6];
  return byte_count === undefined ? null : 9 + byte_count;
}

const word = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

type Answer = { body: number[] } | { exception: ExceptionCode };

function readBits(bank: RegisterBank, table: BitTable, address: number, count: number): Answer {
  if (count < 1 || count > BITS_MAX) return { exception: EXCEPTION.illegalValue };
  const packed = Array.from({ length: Math.ceil(count / 8) }, () => 0);
  for (let index = 0; index < count; index++) {
    const bit = bank.readBit(table, address + index);
    if (bit === null) return { exception: EXCEPTION.illegalAddress };
    if (bit) packed[index >>> 3] = (packed[index >>> 3] ?? 0) | (1 << (index & 7));
  }
  return { body: [packed.length, ...packed] };
}

function readWords(bank: RegisterBank, table: WordTable, address: number, count: number): Answer {
  if (count < 1 || count > WORDS_MAX) return { exception: EXCEPTION.illegalValue };
  const body = [count * 2];
  for (let index = 0; index < count; index++) {
    const value = bank.readWord(table, address + index);
    if (value === null) return { exception: EXCEPTION.illegalAddress };
    body.push(value >>> 8, value & 0xff);
  }
  return { body };
}

function writeOne(
  request: Uint8Array,
  write: (address: number, value: number) => ExceptionCode | null,
): Answer {
  const exception = write(word(request, 2), word(request, 4));
  return exception === null ? { body: [...request.subarray(2, 6)] } : { exception };
}

/** Does what the request asks of one unit; function codes 01 to 06, all others are illegal. */
function answer(bank: RegisterBank, request: Uint8Array): Answer {
  const address = word(request, 2);
  const count = word(request, 4);
  switch (request[1]) {
    case 1:
      return readBits(bank, 'coil', address, count);
    case 2:
      return readBits(bank, 'discrete', address, count);
    case 3:
      return readWords(bank, 'holding', address, count);
    case 4:
      return readWords(bank, 'input', address, count);
    case 5:
      return writeOne(request, (coil, value) =>
        value === 0xff00 || value === 0
          ? bank.writeCoil(coil, value !== 0)
          : EXCEPTION.illegalValue,
      );
    case 6:
      return writeOne(request, (register, value) => bank.writeHolding(register, value));
    default:
      return { exception: EXCEPTION.illegalFunction };
  }
}

/** Time on the wire at 11 bits a character, with the silence of 3.5 characters before (1.75 ms above 19,200 baud). */
export function wireTime_ms(baud: number, bytes: number): number {
  const character_ms = 11_000 / baud;
  return bytes * character_ms + (baud > 19_200 ? 1.75 : 3.5 * character_ms);
}

/**
 * Puts the units of `banks` on a line. `behaviours` are asked in order for each request, the first that takes it over wins.
 * `baud` delays each reply by the time both frames would need on a real wire.
 */
export function createSlave(parts: {
  line: DeviceLine;
  banks: readonly RegisterBank[];
  clock: Clock;
  behaviours?: readonly LineBehaviour[];
  baud?: number | undefined;
}): ModbusSlave {
  const { line, clock, behaviours = [], baud } = parts;
  const banks = new Map(parts.banks.map((bank) => [bank.unit, bank]));
  const counters: SlaveCounters = { requests: 0, crc_errors: 0, not_ours: 0 };
  let pending = new Uint8Array(0);
  let last_byte_at = clock.mono();

  const reply = (unit: number, function_code: number, result: Answer): Uint8Array =>
    'body' in result
      ? withCrc([unit, function_code, ...result.body])
      : withCrc([unit, function_code | 0x80, result.exception]);
  const send = (bytes: Uint8Array, delay_ms: number) => {
    if (delay_ms > 0) clock.after(delay_ms, () => line.write(bytes));
    else line.write(bytes);
  };
  const serve = (request: Uint8Array) => {
    const unit = request[0] ?? BROADCAST;
    const function_code = request[1] ?? 0;
    const bank = banks.get(unit);
    if (unit === BROADCAST && (function_code === 5 || function_code === 6)) {
      for (const each of banks.values()) answer(each, request);
      return;
    }
    if (!bank) {
      counters.not_ours += 1;
      return;
    }
    counters.requests += 1;
    const exchange = {
      request,
      honest: () => reply(unit, function_code, answer(bank, request)),
      send: (bytes: Uint8Array, extra_ms = 0) => {
        const wire_ms =
          baud === undefined
            ? 0
            : wireTime_ms(baud, request.length) + wireTime_ms(baud, bytes.length);
        send(bytes, wire_ms + extra_ms);
      },
    };
    if (!behaviours.some((behaviour) => behaviour(exchange))) exchange.send(exchange.honest());
  };

  line.onData((bytes) => {
    const now = clock.mono();
    const fresh = now - last_byte_at > FRAME_GAP_MS;
    last_byte_at = now;
    pending = fresh ? Uint8Array.from(bytes) : Uint8Array.from([...pending, ...bytes]);
    for (;;) {
      const length = requestLength(pending);
      if (length === null || pending.length < length) break;
      const frame = pending.slice(0, length);
      const sound =
        crc16(frame.subarray(0, length - 2)) ===
        (((frame[length - 1] ?? 0) << 8) | (frame[length - 2] ?? 0));
      if (!sound && pending.length === length) counters.crc_errors += 1;
      // After a damaged frame look for the next one from the following byte on.
      pending = pending.subarray(sound ? length : 1);
      if (sound) serve(frame);
    }
    if (pending.length > FRAME_BYTES_MAX) pending = pending.slice(-FRAME_BYTES_MAX);
  });
  return { counters };
}
