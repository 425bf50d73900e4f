import { expect, test } from 'vitest';
import { FULL_SIZE, rosterOf, SMALL_SIZE } from './layout.ts';
import { FAULT_KINDS, PACE, planFaults, printPlan } from './plan.ts';

const roster = rosterOf(FULL_SIZE);
const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);

test('the same seed gives the same plan byte for byte, another seed another one', () => {
  const texts = SEEDS.map((seed) => printPlan(planFaults(seed, 10, roster)));
  expect(SEEDS.map((seed) => printPlan(planFaults(seed, 10, roster)))).toEqual(texts);
  expect(new Set(texts).size).toBe(SEEDS.length);
});

test('what a seed means is pinned: a run reported long ago can be replayed', () => {
  expect(printPlan(planFaults(7, 1, rosterOf(SMALL_SIZE)).slice(0, 6))).toMatchInlineSnapshot(`
    "1 at 3000 ms: kill influxd for 853 ms
    2 at 5098 ms: freeze gateway-1 for 2463 ms
    3 at 7855 ms: stall edge-2>gateway-door for 14367 ms
    4 at 9913 ms: clockJump edge-1 -1200 for 799 ms
    5 at 14882 ms: cut edge-1>mosquitto for 8917 ms
    6 at 19916 ms: blackHole cloud-1>postgres for 6103 ms
    "
  `);
});

test.each([...FAULT_KINDS])('ten minutes of any seed hold several times: %s', (kind) => {
  for (const seed of SEEDS) {
    const of_kind = planFaults(seed, 10, roster).filter((fault) => fault.kind === kind);
    expect(of_kind.length, `seed ${seed}`).toBeGreaterThan(3);
  }
});

test('nothing has two faults at once, everything ends, and everybody is met by somebody', () => {
  const met = new Set<string>();
  for (const seed of SEEDS) {
    const busy = new Map<string, number>();
    for (const { target, at_ms, hold_ms } of planFaults(seed, 10, roster)) {
      expect(busy.get(target) ?? 0, `seed ${seed} ${target}`).toBeLessThanOrEqual(at_ms);
      expect(hold_ms).toBeLessThanOrEqual(PACE.hold_max_ms);
      busy.set(target, at_ms + hold_ms);
      met.add(target);
    }
  }
  expect([...met].sort()).toEqual([...roster.processes, ...roster.arrows].sort());
});

test('a second cloud is one number', () => {
  const { processes, arrows } = rosterOf({ ...FULL_SIZE, clouds: 2 });
  expect(processes).toEqual(expect.arrayContaining(['cloud-1', 'cloud-2']));
  expect(arrows).toEqual(expect.arrayContaining(['cloud-2>postgres', 'cloud-2>influxd']));
});
