/** The bytes of a segment of InfluxDB 1.x's write-ahead log: how many of them are whole entries. */

/** One byte of type, four of length, big-endian; the payload follows. */
const HEADER_BYTES = 5;
/** Write, delete, delete range. */
const TYPES: readonly number[] = [1, 2, 3];

/** Where the first entry begins that is torn or cannot be one; the length of the segment when there is none. */
export function wholeBytes(segment: Uint8Array): number {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  let at = 0;
  while (at + HEADER_BYTES <= segment.length) {
    const length = view.getUint32(at + 1);
    // Even nothing, compressed, is one byte: a length of 0 is no entry's.
    if (!TYPES.includes(view.getUint8(at)) || length === 0) return at;
    const end = at + HEADER_BYTES + length;
    if (end > segment.length) return at;
    at = end;
  }
  return at;
}
