/** Base45 (RFC 9285), strict: the data encoding that fits a QR code's alphanumeric mode. */

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
const INVALID = 0xff;
const VALUES = new Uint8Array(128).fill(INVALID);
for (let value = 0; value < ALPHABET.length; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value;

export { ALPHABET as BASE45_ALPHABET };

/** RFC 9285 §4: two bytes become three characters, a last single byte two; least significant first. */
export function encodeBase45(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 2) {
    const high = bytes[at] ?? 0;
    const low = bytes[at + 1];
    const value = low === undefined ? high : high * 256 + low;
    text += ALPHABET.charAt(value % 45) + ALPHABET.charAt(Math.floor(value / 45) % 45);
    if (low !== undefined) text += ALPHABET.charAt(Math.floor(value / 2025));
  }
  return text;
}

/**
 * The bytes, or `null` for everything RFC 9285 §6 says MUST be rejected: a character outside the alphabet,
 * a group above its range (65535 for three characters, 255 for two), a lone last character. Never trims.
 */
export function decodeBase45(text: string): Uint8Array | null {
  const bytes = new Uint8Array(Math.floor(text.length / 3) * 2 + (text.length % 3 === 2 ? 1 : 0));
  let written = 0;
  for (let at = 0; at < text.length; at += 3) {
    const pair = at + 2 === text.length;
    const first = valueAt(text, at);
    const second = valueAt(text, at + 1);
    const third = pair ? 0 : valueAt(text, at + 2);
    // A lone last character fails here too: its partners are not there.
    if (first === INVALID || second === INVALID || third === INVALID) return null;
    const value = first + second * 45 + third * 2025;
    if (value > (pair ? 0xff : 0xffff)) return null;
    if (!pair) bytes[written++] = value >>> 8;
    bytes[written++] = value & 0xff;
  }
  return bytes;
}

function valueAt(text: string, at: number): number {
  return VALUES[text.charCodeAt(at)] ?? INVALID;
}
