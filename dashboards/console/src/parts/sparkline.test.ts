import { expect, test } from 'vitest';
import { gapsOf } from './sparkline.tsx';

const MINUTE_MS = 60_000;
const at = (minutes: number): [number, number] => [minutes * MINUTE_MS, 1];

test('silence before, between and after the values is a gap; a usual pause is not', () => {
  const gaps = gapsOf([at(60), at(75), at(120)], 0, 130 * MINUTE_MS);
  expect(gaps.map((gap) => gap.map((ms) => ms / MINUTE_MS))).toEqual([
    [0, 60],
    [75, 120],
  ]);
  expect(gapsOf([], 0, 60 * MINUTE_MS)).toEqual([[0, 60 * MINUTE_MS]]);
  expect(gapsOf([at(0), at(15)], 0, 30 * MINUTE_MS)).toEqual([]);
});
