/**
 * Counts MQTT packets by their fixed headers (MQTT 3.1.1, 2.2) as the bytes come in.
 * The parser behind it has no size limit of its own and would collect 256 MB for one announced packet.
 */

export interface MeterLimits {
  /** Only a PUBLISH may be large: every other packet, CONNECT with its will included, is small. */
  control_bytes_max: number;
  publish_bytes_max: number;
}

export type MeterRefusal = 'notConnect' | 'controlTooLong' | 'publishTooLong' | 'lengthMalformed';

/** Type 1, reserved flags 0 (3.1.1): also tells MQTT from a TLS handshake, which begins with 0x16. */
const CONNECT_BYTE = 0x10;
const PUBLISH = 3;

export interface PacketMeter {
  /** Publishes begun so far. */
  readonly publishes: number;
  /** Packets of every other type begun so far. */
  readonly controls: number;
  /** Looks at headers only. Returns why the connection must end, or `null`. */
  feed(chunk: Uint8Array): MeterRefusal | null;
}

export function createPacketMeter(limits: MeterLimits): PacketMeter {
  let publishes = 0;
  let controls = 0;
  let body_left = 0;
  let type = 0;
  let length = 0;
  let length_bytes = 0;
  let in_header = false;

  function begin(first_byte: number): MeterRefusal | null {
    type = first_byte >> 4;
    if (publishes + controls === 0 && first_byte !== CONNECT_BYTE) return 'notConnect';
    if (type === PUBLISH) publishes += 1;
    else controls += 1;
    in_header = true;
    length = 0;
    length_bytes = 0;
    return null;
  }

  function lengthByte(byte: number): MeterRefusal | null {
    length += (byte & 0x7f) * 128 ** length_bytes;
    length_bytes += 1;
    if (byte & 0x80) return length_bytes === 4 ? 'lengthMalformed' : null;
    in_header = false;
    body_left = length;
    if (type === PUBLISH) return length > limits.publish_bytes_max ? 'publishTooLong' : null;
    return length > limits.control_bytes_max ? 'controlTooLong' : null;
  }

  return {
    get publishes() {
      return publishes;
    },
    get controls() {
      return controls;
    },
    feed(chunk) {
      for (let at = 0; at < chunk.length;) {
        if (body_left > 0) {
          const step = Math.min(body_left, chunk.length - at);
          body_left -= step;
          at += step;
          continue;
        }
        const byte = chunk[at++] ?? 0;
        const refusal = in_header ? lengthByte(byte) : begin(byte);
        if (refusal !== null) return refusal;
      }
      return null;
    },
  };
}
