import { expect, test } from 'vitest';
import { epochMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { demandOf, HOUR_MS, HOUR_WEIGHTS, SCENARIOS } from './demand.ts';
import { nextArrival_ms } from './visitors.ts';

/** Midnight in China, a Wednesday. */
const MIDNIGHT = Date.UTC(2026, 6, 1) - 8 * HOUR_MS;
const at = (hour: number, minute = 0) => epochMs(MIDNIGHT + hour * HOUR_MS + minute * 60_000);
const ordinary = demandOf('ordinary', at(0));

test('the hours of a day sum to 100 percent', () => {
  for (const kind of ['W', 'M'] as const) {
    expect(HOUR_WEIGHTS[kind]).toHaveLength(24);
    expect(HOUR_WEIGHTS[kind].reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 9);
  }
});

test('a week brings seven ordinary days; its weekend 0.85 of a weekday', () => {
  let visits = 0;
  for (let hour = 0; hour < 7 * 24; hour += 1) visits += ordinary.perHour('W', 30, at(hour));
  expect(visits).toBeCloseTo(7 * 30, 9);
  const saturday = ordinary.perHour('W', 30, at(3 * 24 + 12));
  expect(saturday / ordinary.perHour('W', 30, at(12))).toBeCloseTo(0.85, 9);
});

test('lunch is the busiest hour at every hour', () => {
  const lunch = demandOf('lunch', at(0));
  expect(lunch.perHour('W', 100, at(3))).toBeCloseTo(ordinary.perHour('W', 100, at(12)), 9);
});

test('heat brings two and a half times as many, in one long afternoon', () => {
  const heat = demandOf('heat', at(0));
  const afternoon = [11, 12, 13, 14, 15, 16].map((hour) => heat.perHour('W', 100, at(hour)));
  expect(new Set(afternoon.map((rate) => rate.toFixed(9))).size).toBe(1);
  const day = (demand: typeof heat) =>
    Array.from({ length: 24 }, (_, hour) => demand.perHour('W', 100, at(hour))).reduce(
      (sum, rate) => sum + rate,
    );
  expect(day(heat) / day(ordinary)).toBeCloseTo(2.5, 9);
});

test('rain brings three to every door in its first five minutes, and is over after ten', () => {
  const rain = demandOf('rain', at(9));
  expect(rain.perHour('W', 2, at(9, 1)) / 12).toBe(3);
  expect(rain.perHour('W', 2, at(9, 6))).toBeCloseTo(1.6 * ordinary.perHour('W', 2, at(9)), 9);
  expect(rain.perHour('W', 2, at(9, 11))).toBe(ordinary.perHour('W', 2, at(9)));
  expect(rain.perHour('M', 2, at(9, 1))).toBe(ordinary.perHour('M', 2, at(9)));
});

test('a snow night brings half as many again, a snow noon does not', () => {
  const snow = demandOf('snow', at(0));
  expect(snow.perHour('W', 10, at(22)) / ordinary.perHour('W', 10, at(22))).toBeCloseTo(1.5, 9);
  expect(snow.perHour('W', 10, at(12))).toBe(ordinary.perHour('W', 10, at(12)));
});

test.each(SCENARIOS)('%s: no hour exceeds the bound that arrivals are thinned from', (scenario) => {
  const demand = demandOf(scenario, at(8));
  for (const kind of ['W', 'M'] as const)
    for (let hour = 0; hour < 14 * 24; hour += 1)
      expect(demand.perHour(kind, 7, at(hour))).toBeLessThanOrEqual(
        demand.busiestPerHour(kind, 7) + 1e-9,
      );
});

test('arrivals follow the rain: three a door in five minutes', () => {
  const random = prng(17);
  const rain = demandOf('rain', at(4));
  let visits = 0;
  for (let door = 0; door < 2_000; door += 1) {
    for (let now = at(4) as number; ; visits += 1) {
      now += nextArrival_ms(epochMs(now), 'W', 0.01, random, rain, HOUR_MS);
      if (now >= at(4, 5)) break;
    }
  }
  expect(visits / 2_000).toBeGreaterThan(2.85);
  expect(visits / 2_000).toBeLessThan(3.15);
});
