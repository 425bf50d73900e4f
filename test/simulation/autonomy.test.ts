/** A station serves alone for 90 simulated days and accounts for all of it afterwards. `npm run autonomy` runs it longer. */
import { stationCode } from '@waystation/protocol/station-code';
import { expect, test } from 'vitest';
import { figures, runAutonomy, type Verdict } from './autonomy-verdict.ts';
import { DECISION_MS_MAX, FROM_MS } from './autonomy.ts';

const SEED = 90;
const MEGABYTE = 1024 * 1024;
/** The card key signs for another 29 days at the last contact: most cards of the silence are of the next one. */
const KEY_AGE_DAYS = 61;
/** A minute between attempts, less its jitter. */
const CONNECTS_PER_DAY_MAX = 2_500;

function expectPromises(verdict: Verdict, days: number): void {
  const { tally, account, drained } = verdict;
  console.log(JSON.stringify(figures({ seed: SEED, days }, verdict)));
  expect(tally.wrong).toEqual([]);
  expect(tally.granted).toBeGreaterThan(days);
  expect(tally.decision_ms_max).toBeLessThanOrEqual(DECISION_MS_MAX);
  expect(tally.boots).toBeGreaterThan(3);
  expect(account.unaccounted).toBe(0);
  expect(account.spans).toBe(verdict.samples);
  const connects = Object.values(tally.connects).reduce((sum, count) => sum + count, 0);
  expect(connects).toBeGreaterThan(days * 1_000);
  expect(connects).toBeLessThan(days * CONNECTS_PER_DAY_MAX);
  expect(verdict.flash_mb_per_day).toBeLessThan(60);
  if (drained === null) return;
  expect(drained.problems).toEqual([]);
  expect(drained.bands['archive']).toBeGreaterThan(verdict.events / 2);
  expect(drained.oldest_point_ms).toBeGreaterThanOrEqual(FROM_MS);
}

/** Half a minute on a machine that has nothing else to do. */
const TIMEOUT_MS = 600_000;

test(
  'a busy hall, 90 days: the default budget keeps every record',
  async () => {
    const days = 90;
    const options = {
      seed: SEED,
      days,
      code: stationCode('370102001', 'W', 1),
      visits_per_day: 120,
      disk_budget_bytes: 256 * MEGABYTE,
      key_age_days: KEY_AGE_DAYS,
    };
    const verdict = await runAutonomy(options, 'stay alone');
    expectPromises(verdict, days);
    const { tally } = verdict;
    expect(tally.scans).toBeGreaterThan(days * 100);
    // The phone that never had a network, and the six hours of 1970; each with its own sentence.
    expect(tally.refused['cardExpired']).toBeGreaterThan(0);
    expect(tally.refused['clockUnknown']).toBeGreaterThan(0);
    expect(Object.keys(tally.connects).toSorted()).toEqual(['UPLINK_CLOCK', 'UPLINK_LOST']);
    expect(verdict.outbox_mb).toBeLessThan(256);
    expect([verdict.thinned, verdict.dropped]).toEqual([0, 0]);
    const [first = 0, ...later] = tally.heap_mb;
    expect(Math.max(...later)).toBeLessThan(first + 400); // the oracle's own books grow by this
  },
  TIMEOUT_MS,
);

test(
  'a small disk: samples are thinned, then dropped, each hole on record; no event is',
  async () => {
    const days = 4;
    const verdict = await runAutonomy({
      seed: SEED,
      days,
      code: stationCode('370102001', 'W', 1),
      visits_per_day: 120,
      disk_budget_bytes: MEGABYTE,
      key_age_days: KEY_AGE_DAYS,
    });
    expectPromises(verdict, days);
    expect(verdict.thinned).toBeGreaterThan(0);
    expect(verdict.dropped).toBeGreaterThan(0);
    expect(verdict.account.gaps).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  "a mom's room 85 days after the last contact still opens",
  async () => {
    const days = 6;
    const verdict = await runAutonomy({
      seed: SEED,
      days,
      code: stationCode('370102001', 'M', 1),
      visits_per_day: 6,
      disk_budget_bytes: 256 * MEGABYTE,
      key_age_days: KEY_AGE_DAYS,
      contact_age_days: 85,
    });
    expectPromises(verdict, days);
  },
  TIMEOUT_MS,
);
