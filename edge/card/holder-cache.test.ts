import { publicKeyOf } from '@waystation/runtime/p256';
import { expect, test } from 'vitest';
import { createHolderCache } from './holder-cache.ts';

/** The base point of P-256 (FIPS 186-5, SEC 2). */
const BASE_X = '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296';
const key = publicKeyOf({ x: new Uint8Array(Buffer.from(BASE_X, 'hex')), y_odd: true });
if (key === null) throw new TypeError('the base point was refused');

test('holds its limit; the card used longest ago makes room', () => {
  const cache = createHolderCache(2);
  cache.put('a', key);
  cache.put('b', key);
  expect(cache.get('a')).toBe(key);
  cache.put('c', key);
  expect(['a', 'b', 'c'].map((card) => cache.get(card) === key)).toEqual([true, false, true]);
});

test('belongs to one key set', () => {
  const cache = createHolderCache(2);
  const [first, second] = [{}, {}];
  cache.belongTo(first);
  cache.put('a', key);
  cache.belongTo(first);
  expect(cache.get('a')).toBe(key);
  cache.belongTo(second);
  expect(cache.get('a')).toBeUndefined();
});
