/** Our QR images, read by a decoder that is not ours (zbar). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qrPng } from '@waystation/firmware-sim/qr-image';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

test.each([
  ['a short text', 'WS1:HELLO WORLD'],
  ['the whole alphabet', `WS1:${ALPHABET}`],
  ['as long as a presentation', `WS1:${ALPHABET.repeat(12)}`],
])('zbarimg reads %s back, character for character', (_name, text) => {
  const file = join(mkdtempSync(join(tmpdir(), 'qr-')), 'code.png');
  writeFileSync(file, qrPng(text));
  const read = execFileSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file], {
    encoding: 'utf8',
  });
  expect(read).toBe(`${text}\n`);
});
