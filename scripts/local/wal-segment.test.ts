import { expect, test } from 'vitest';
import { wholeBytes } from './wal-segment.ts';

const WRITE = [1, 0, 0, 0, 3, 7, 7, 7];
const DELETE = [2, 0, 0, 0, 1, 7];
const DELETE_RANGE = [3, 0, 0, 1, 0, ...Array.from({ length: 256 }, () => 7)];
const whole = (...bytes: number[]) => wholeBytes(Uint8Array.from(bytes));

test('a segment of whole entries is kept to its end', () => {
  const all = [...WRITE, ...DELETE, ...DELETE_RANGE];
  expect(whole(...all)).toBe(all.length);
});

test('an empty segment is whole', () => {
  expect(whole()).toBe(0);
});

test('an entry torn at any byte, of its header or its payload, is not kept', () => {
  for (let bytes = 0; bytes < WRITE.length; bytes += 1)
    expect(whole(...DELETE, ...WRITE.slice(0, bytes)), `${bytes} bytes`).toBe(DELETE.length);
});

test('a type or a length that no entry has ends what is kept', () => {
  for (const type of [0, 4, 255]) expect(whole(...WRITE, type, 0, 0, 0, 1, 7)).toBe(WRITE.length);
  expect(whole(...WRITE, 1, 0, 0, 0, 0)).toBe(WRITE.length);
  expect(whole(...WRITE, 1, 255, 255, 255, 255, 7)).toBe(WRITE.length);
});

test('bytes that begin inside a larger buffer are read from their own beginning', () => {
  expect(wholeBytes(Uint8Array.from([9, 9, ...WRITE]).subarray(2))).toBe(WRITE.length);
});
