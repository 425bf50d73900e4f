import { expect, test } from 'vitest';
import { qrModules, qrPng, qrTerminal } from './qr-image.ts';

/** A presentation has about this many characters. */
const LONG = `WS1:${'AB 0$%*+-./:Z'.repeat(40)}`;

test('a square of odd size with four light modules around it', () => {
  const modules = qrModules('WS1:HELLO');
  const side = modules.length;
  expect((side - 8 - 17) % 4).toBe(0);
  for (const row of modules) {
    expect(row).toHaveLength(side);
    expect(row.slice(0, 4).some(Boolean) || row.slice(-4).some(Boolean)).toBe(false);
  }
  expect(modules[4]?.slice(4, 11)).toEqual(Array.from({ length: 7 }, () => true)); // top edge of the finder pattern
});

test('alphanumeric mode: 520 characters stay within version 14 at level M', () => {
  expect(qrModules(LONG.slice(0, 520)).length).toBeLessThanOrEqual(17 + 4 * 14 + 8);
  expect(() => qrModules('lower case')).toThrow(RangeError);
  expect(() => qrModules('')).toThrow(RangeError);
});

test('the PNG says its size', () => {
  const png = Buffer.from(qrPng('WS1:HELLO', 3));
  expect(png.subarray(1, 4).toString('latin1')).toBe('PNG');
  expect(png.readUInt32BE(16)).toBe(qrModules('WS1:HELLO').length * 3);
});

test('on a terminal two rows of modules share a line', () => {
  expect(qrTerminal('WS1:HELLO').split('\n')).toHaveLength(
    Math.ceil(qrModules('WS1:HELLO').length / 2),
  );
});
