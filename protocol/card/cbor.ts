/**
 * Deterministic CBOR (RFC 8949 §4.2) and nothing else: what does not encode back to the very same bytes is refused,
 * so no message has a second spelling.
 */
import { decode, encode } from 'cborg';

const STRICT = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  useMaps: true,
  rejectDuplicateMapKeys: true,
} as const;

export function encodeCbor(value: unknown): Uint8Array {
  // In Node the encoder gives a Buffer, whose slice() shares memory: callers get what the type says.
  const { buffer, byteOffset, byteLength } = encode(value);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The bytes as one whole value, or `undefined` when they are not CBOR. No length limit of its own: the caller has one. */
function decodeCbor(bytes: Uint8Array): unknown {
  try {
    const value: unknown = decode(bytes, STRICT);
    return value;
  } catch {
    // The decoder throws for every malformed input, deep nesting included; the caller only needs to know that.
    return undefined;
  }
}

/**
 * Decodes with `read` and demands that `write` gives the same bytes again.
 * This catches what a lenient decoder lets through: key order, floats that look like integers, long spellings.
 */
export function decodeExact<T>(
  bytes: Uint8Array,
  read: (value: unknown) => T | null,
  write: (value: T) => Uint8Array,
): T | null {
  const value = read(decodeCbor(bytes));
  return value !== null && sameBytes(write(value), bytes) ? value : null;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  return at === a.length && a.length === b.length;
}

export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (0x100 + byte).toString(16).slice(1);
  return text;
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export const UINT32_MAX = 0xffff_ffff;

export function isUint(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

export function isBytes(value: unknown, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

/** The values of a map that has exactly these keys; `null` for anything else. */
export function mapValues(value: unknown, keys: readonly (number | string)[]): unknown[] | null {
  if (!(value instanceof Map) || value.size !== keys.length) return null;
  return keys.every((key) => value.has(key)) ? keys.map((key) => value.get(key)) : null;
}

/** The items of an array of exactly this length; `null` for anything else. */
export function arrayItems(value: unknown, length: number): unknown[] | null {
  return Array.isArray(value) && value.length === length ? value : null;
}
