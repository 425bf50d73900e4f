/**
 * Counts and judges MQTT packets (MQTT 3.1.1, 2.2) as the bytes come in, before anything else reads them.
 * The parser behind it has no size limit of its own and would collect 256 MB for one announced packet.
 */
import { judgeBody, judgeFirstByte, TYPE, type Violation } from './packet-rules.ts';

export interface MeterLimits {
  /** Only a PUBLISH may be large: every other packet, CONNECT with its will included, is small. */
  control_bytes_max: number;
  publish_bytes_max: number;
  /** Topic and packet identifier of a PUBLISH. */
  publish_header_bytes_max: number;
}

export type MeterRefusal =
  | 'notConnect'
  | 'controlTooLong'
  | 'publishTooLong'
  | 'lengthMalformed'
  | Violation;

/** Type 1, reserved flags 0 (3.1.1): also tells MQTT from a TLS handshake, which begins with 0x16. */
const CONNECT_BYTE = 0x10;
const NOTHING = Buffer.alloc(0);

export interface PacketMeter {
  /** Publishes begun so far. */
  readonly publishes: number;
  /** Packets of every other type begun so far. */
  readonly controls: number;
  /** The client has said DISCONNECT: whatever follows is not for us (3.14.4). */
  readonly disconnected: boolean;
  /** How many bytes of the chunk may be read, or why the connection must end. */
  feed(chunk: Uint8Array): number | MeterRefusal;
}

export function createPacketMeter(limits: MeterLimits): PacketMeter {
  let publishes = 0;
  let controls = 0;
  let disconnected = false;
  let first_byte = 0;
  let length = 0;
  let length_bytes = 0;
  let state: 'start' | 'length' | 'body' = 'start';
  /** Bytes of the body still to come. */
  let body_left = 0;
  /** What came in earlier chunks of the part of the body that is judged. */
  let kept: Uint8Array = NOTHING;
  /** How many bytes of the body are judged: `null` while that is unknown, 0 when it has been done. */
  let judged_bytes: number | null = 0;

  function begin(byte: number): MeterRefusal | null {
    first_byte = byte;
    const violation =
      publishes + controls > 0
        ? judgeFirstByte(byte)
        : byte === CONNECT_BYTE
          ? null
          : ('notConnect' as const);
    if (violation !== null) return violation;
    if (byte >> 4 === TYPE.publish) publishes += 1;
    else controls += 1;
    state = 'length';
    length = 0;
    length_bytes = 0;
    return null;
  }

  function lengthByte(byte: number): MeterRefusal | null {
    length += (byte & 0x7f) * 128 ** length_bytes;
    length_bytes += 1;
    if (byte & 0x80) return length_bytes === 4 ? 'lengthMalformed' : null;
    const publish = first_byte >> 4 === TYPE.publish;
    if (publish && length > limits.publish_bytes_max) return 'publishTooLong';
    if (!publish && length > limits.control_bytes_max) return 'controlTooLong';
    state = 'body';
    body_left = length;
    kept = NOTHING;
    judged_bytes = publish && length > 2 ? null : length;
    return length > 0 ? null : finish(NOTHING);
  }

  /** Of a PUBLISH only topic and packet identifier are looked at: `part` is its beginning. */
  function publishHeader(part: Uint8Array): number | MeterRefusal | null {
    const [high, low] = part;
    if (high === undefined || low === undefined) return null;
    const bytes = 2 + high * 256 + low + (first_byte & 0x06 ? 2 : 0);
    return bytes > limits.publish_header_bytes_max ? 'publishTooLong' : Math.min(bytes, length);
  }

  function finish(part: Uint8Array): MeterRefusal | null {
    judged_bytes = 0;
    kept = NOTHING;
    if (first_byte >> 4 === TYPE.disconnect && length === 0) disconnected = true;
    return judgeBody(first_byte, part);
  }

  /** Looks at what has come of the body; `piece` is the newest part of it. */
  function look(piece: Uint8Array): MeterRefusal | null {
    if (judged_bytes === 0) return null;
    const part = kept.length === 0 ? piece : Buffer.concat([kept, piece]);
    const bytes = judged_bytes ?? publishHeader(part);
    if (typeof bytes === 'string') return bytes;
    judged_bytes = bytes;
    if (bytes !== null && part.length >= bytes) return finish(part.subarray(0, bytes));
    // A copy: the chunk belongs to the socket. Never longer than the limits, since more would have been judged.
    kept = Buffer.from(part);
    return null;
  }

  return {
    get publishes() {
      return publishes;
    },
    get controls() {
      return controls;
    },
    get disconnected() {
      return disconnected;
    },
    feed(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (disconnected) return at;
        let refusal: MeterRefusal | null;
        if (state === 'body' && body_left > 0) {
          const step = Math.min(body_left, chunk.length - at);
          refusal = look(chunk.subarray(at, at + step));
          body_left -= step;
          at += step;
        } else {
          const byte = chunk[at++] ?? 0;
          refusal = state === 'length' ? lengthByte(byte) : begin(byte);
        }
        if (refusal !== null) return refusal;
      }
      return at;
    },
  };
}
