import { expect, test } from 'vitest';
import { epochMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { HOUR_WEIGHTS } from './demand.ts';
import { consumption, nextArrival_ms, stay_ms, visitsPerDay } from './visitors.ts';

const DAY_MS = 86_400_000;
/** Midnight in China. */
const MIDNIGHT = Date.UTC(2026, 6, 1) - 8 * 3_600_000;

test('visits a day over many stations: the median, mean and tail of the published counts', () => {
  const random = prng(7);
  const visits = Array.from({ length: 20_000 }, () => visitsPerDay('W', random)).toSorted(
    (a, b) => a - b,
  );
  const at = (share: number) => visits[Math.floor(share * visits.length)] ?? 0;
  expect(at(0.5)).toBeGreaterThan(5.7);
  expect(at(0.5)).toBeLessThan(6.3);
  expect(visits.reduce((sum, value) => sum + value, 0) / visits.length).toBeCloseTo(12.2, 0);
  expect(at(0.99)).toBeGreaterThan(80);
  expect(at(0.99)).toBeLessThan(120);
  expect(visits.at(-1)).toBeLessThanOrEqual(250);
});

test('arrivals keep the daily count and crowd at noon, the same for the same seed', () => {
  const days = 400;
  const run = (seed: number) => {
    const random = prng(seed);
    const hours = Array.from({ length: 24 }, () => 0);
    let count = 0;
    for (let now = 0; ; count += 1) {
      now += nextArrival_ms(epochMs(MIDNIGHT + now), 'W', 24, random);
      if (now > days * DAY_MS) return { count, hours };
      const hour = Math.floor((now % DAY_MS) / 3_600_000);
      hours[hour] = (hours[hour] ?? 0) + 1;
    }
  };
  const seen = run(3);
  expect(Math.abs(seen.count / days - 24)).toBeLessThan(0.8);
  seen.hours.forEach((count, hour) => {
    expect(
      Math.abs((count / seen.count) * 100 - (HOUR_WEIGHTS.W[hour] ?? 0)),
      `hour ${hour}`,
    ).toBeLessThan(1);
  });
  expect(run(3)).toEqual(seen);
});

test('a stay and what it takes are within the model', () => {
  const random = prng(11);
  for (let round = 0; round < 1000; round++) {
    expect(stay_ms('W', random)).toBeGreaterThanOrEqual(15 * 60_000);
    expect(stay_ms('W', random)).toBeLessThan(25 * 60_000);
    expect(stay_ms('M', random)).toBeLessThan(30 * 60_000);
    const { water, cups, tissue, medicine } = consumption('M', random);
    expect(water).toBeLessThan(1.1);
    expect([0, 1]).toContain(cups);
    expect([0, 1]).toContain(medicine);
    expect(tissue).toBeGreaterThanOrEqual(0);
  }
});
