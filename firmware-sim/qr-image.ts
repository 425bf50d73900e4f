/** A code as a QR image that any decoder reads: alphanumeric mode, error correction level M (ISO/IEC 18004). */
import { crc32, deflateSync } from 'node:zlib';
import encodeQR from 'qr';

/** Light modules around the symbol that the standard asks for. */
const QUIET_MODULES = 4;
const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** Table 5 of ISO/IEC 18004. */
const ALPHANUMERIC = /^[0-9A-Z $%*+\-./:]+$/;

/** Rows of modules, true = dark, with the quiet zone. Throws RangeError for characters that alphanumeric mode has not. */
export function qrModules(text: string): boolean[][] {
  if (!ALPHANUMERIC.test(text))
    throw new RangeError('the text has characters that alphanumeric mode does not know');
  return encodeQR(text, 'raw', { ecc: 'medium', encoding: 'alphanumeric', border: QUIET_MODULES });
}

function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** A PNG of 8-bit grey, `pixels` a module. */
export function qrPng(text: string, pixels = 4): Uint8Array {
  const modules = qrModules(text);
  const side = modules.length * pixels;
  const rows = Buffer.alloc(side * (side + 1)); // each row begins with filter type 0
  modules.forEach((row, y) => {
    const line = Buffer.alloc(side + 1);
    row.forEach((dark, x) => line.fill(dark ? 0x00 : 0xff, 1 + x * pixels, 1 + (x + 1) * pixels));
    for (let repeat = 0; repeat < pixels; repeat++)
      line.copy(rows, (y * pixels + repeat) * line.length);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 8; // bits a sample; the other fields are 0: grey, deflate, no interlace
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(rows)),
    pngChunk('IEND', new Uint8Array(0)),
  ]);
}

/** For a terminal: two rows of modules a line, dark on light. */
export function qrTerminal(text: string): string {
  const modules = qrModules(text);
  const lines: string[] = [];
  for (let y = 0; y < modules.length; y += 2) {
    const upper = modules[y] ?? [];
    const lower = modules[y + 1] ?? [];
    const cells = upper.map((dark, x) => (dark ? (lower[x] ? ' ' : '▄') : lower[x] ? '▀' : '█'));
    lines.push(cells.join(''));
  }
  return lines.join('\n');
}
