/** Modbus RTU frames: requests out of this house, replies found in whatever the line delivers (Modbus Application Protocol V1.1b3). */
import assert from 'node:assert/strict';

/** Function codes 01 coils, 02 discrete inputs, 03 holding registers, 04 input registers, 05 one coil, 06 one register. */
export type RtuRequest =
  | { fc: 1 | 2 | 3 | 4; unit: number; address: number; count: number }
  | { fc: 5; unit: number; address: number; on: boolean }
  | { fc: 6; unit: number; address: number; value: number };

/** Coils and inputs as 0 or 1, registers as words; empty for a write. */
export type RtuValues = readonly number[];

/** What a stretch of received bytes holds for one request. `bad_crc`: a reply of the right shape was there, damaged. */
export type Finding =
  | { found: 'reply'; values: RtuValues; length: number }
  | { found: 'exception'; code: number; length: number }
  | { found: 'nothing'; bad_crc: boolean };

/** Exception reply: unit, function code with the high bit set, exception code, CRC (clause 7). */
const EXCEPTION_LENGTH = 5;
const EXCEPTION_BIT = 0x80;
const SHORTEST_REPLY = 5;
/** Limits of one request (clauses 6.1 to 6.4). */
const MAX_BITS = 2000;
const MAX_WORDS = 125;
const COIL_ON = 0xff00;

/** CRC-16/MODBUS: reflected polynomial 0xA001, start 0xFFFF; sent low byte first (Serial Line V1.02, 6.2.2). */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

/** The frame for the wire. Ranges are ours to keep: outside them is a bug of the caller. */
export function encodeRequest(request: RtuRequest): Uint8Array {
  assert(request.unit >= 1 && request.unit <= 247, 'unit 1..247: no reply comes to a broadcast');
  assert(Number.isInteger(request.address) && request.address >= 0 && request.address <= 0xffff);
  const argument =
    request.fc === 5
      ? request.on
        ? COIL_ON
        : 0
      : request.fc === 6
        ? request.value
        : request.count;
  assert(Number.isInteger(argument) && argument >= 0 && argument <= 0xffff);
  if (request.fc <= 4)
    assert(argument >= 1 && argument <= (request.fc <= 2 ? MAX_BITS : MAX_WORDS));
  const frame = new Uint8Array(8);
  const view = new DataView(frame.buffer);
  frame[0] = request.unit;
  frame[1] = request.fc;
  view.setUint16(2, request.address);
  view.setUint16(4, argument);
  view.setUint16(6, crc16(frame.subarray(0, 6)), true);
  return frame;
}

/** How long the frame of a granted reply is. A write is answered with the request itself. */
export function replyLength(request: RtuRequest): number {
  return request.fc <= 4 ? 5 + dataLength(request) : 8;
}

function dataLength(request: RtuRequest): number {
  if (request.fc === 5 || request.fc === 6) return 4;
  return request.fc <= 2 ? Math.ceil(request.count / 8) : request.count * 2;
}

/**
 * Looks for the reply to `request` anywhere in `received`: noise before it, behind it and frames of other units are passed over.
 * `frame` is the request as it was sent: only its exact repetition answers a write, and for a read that is an echo.
 */
export function findReply(request: RtuRequest, frame: Uint8Array, received: Uint8Array): Finding {
  let bad_crc = false;
  for (let start = 0; start + SHORTEST_REPLY <= received.length; start += 1) {
    if (received[start] !== request.unit) continue;
    const fc = received[start + 1];
    const exception = fc === (request.fc | EXCEPTION_BIT);
    if (!exception && fc !== request.fc) continue;
    if (!exception && request.fc <= 4 && received[start + 2] !== dataLength(request)) continue;
    const length = exception ? EXCEPTION_LENGTH : replyLength(request);
    if (start + length > received.length) continue;
    const candidate = received.subarray(start, start + length);
    if (!hasValidCrc(candidate)) {
      bad_crc = true;
      continue;
    }
    if (exception) return { found: 'exception', code: candidate[2] ?? 0, length };
    if (sameBytes(candidate, frame) !== request.fc >= 5) continue;
    return { found: 'reply', values: decodeValues(request, candidate), length };
  }
  return { found: 'nothing', bad_crc };
}

function hasValidCrc(frame: Uint8Array): boolean {
  const end = frame.length - 2;
  const sent = (frame[end] ?? 0) | ((frame[end + 1] ?? 0) << 8);
  return sent === crc16(frame.subarray(0, end));
}

function decodeValues(request: RtuRequest, frame: Uint8Array): RtuValues {
  if (request.fc === 5 || request.fc === 6) return [];
  const data = frame.subarray(3, frame.length - 2);
  const values: number[] = [];
  for (let index = 0; index < request.count; index += 1) {
    values.push(
      request.fc <= 2
        ? ((data[index >> 3] ?? 0) >> (index & 7)) & 1
        : ((data[index * 2] ?? 0) << 8) | (data[index * 2 + 1] ?? 0),
    );
  }
  return values;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * What follows the adapter's own echo of `frame`, or null while the echo has not fully come.
 * Half-duplex adapters hear themselves: without this a dead device would "confirm" a write.
 */
export function afterEcho(frame: Uint8Array, received: Uint8Array): Uint8Array | null {
  for (let start = 0; start + frame.length <= received.length; start += 1) {
    if (sameBytes(received.subarray(start, start + frame.length), frame))
      return received.subarray(start + frame.length);
  }
  return null;
}

/** Silence that separates two frames: 3.5 characters of 11 bits, fixed 1.75 ms above 19,200 baud (Serial Line V1.02, 2.5.1.1). */
export function silentGapMs(baud: number): number {
  assert(baud > 0);
  return baud > 19_200 ? 1.75 : (3.5 * 11 * 1000) / baud;
}
