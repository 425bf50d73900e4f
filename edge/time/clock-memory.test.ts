import { expect, test } from 'vitest';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootedFromRtc, resumeAnchor } from './clock-memory.ts';
import { judgeClock } from './clock-source.ts';

const DAY_MS = 86_400_000;
const GOOD = 1_780_000_000_000;
const kept = { boot: 'aaaaaaaa', wall: GOOD, since_boot: 50_000, error_ms: 40 };
const free = { synced: false, max_error_ms: 0 };
const judged = (start: { boot: string; wall: number; rtc: boolean; boot_mono_ms: number }) => {
  const mono = 1_000;
  const anchor = resumeAnchor(kept, { ...start, mono });
  return judgeClock(anchor, { wall: start.wall, mono }, free, GOOD - 60_000);
};

test.each([
  // The agent started again ten days later: 50 s were on this boot's clock at the anchor.
  ['the same boot', 'aaaaaaaa', 10 * DAY_MS, false, 50_000 + 10 * DAY_MS - 1_000, 'holdover'],
  ['the same boot, wall clock set back', 'aaaaaaaa', 5 * DAY_MS, false, 10 * DAY_MS, 'unknown'],
  ['another boot with a battery-backed clock', 'bbbbbbbb', 10 * DAY_MS, true, 0, 'holdover'],
  ['another boot without one', 'bbbbbbbb', 10 * DAY_MS, false, 0, 'unknown'],
  ['a battery that is empty', 'bbbbbbbb', -GOOD, true, 0, 'unknown'],
  ['a clock that runs years ahead', 'bbbbbbbb', 9_000 * DAY_MS, true, 0, 'unknown'],
  ['another boot after a season', 'bbbbbbbb', 90 * DAY_MS, true, 0, 'holdover'],
])('%s', (_, boot, later_ms, rtc, boot_mono_ms, quality) => {
  expect(judged({ boot, wall: GOOD + later_ms, rtc, boot_mono_ms }).quality).toBe(quality);
});

test('drift counts over the time the station was off', () => {
  const { error_ms } = judged({
    boot: 'bbbbbbbb',
    wall: GOOD + 10 * DAY_MS,
    rtc: true,
    boot_mono_ms: 0,
  });
  expect(error_ms).toBeCloseTo(40 + (10 * DAY_MS * 15) / 1e6);
});

test('only the clock that set the time of this boot counts', () => {
  const directory = mkdtempSync(join(tmpdir(), 'waystation-rtc-'));
  expect(bootedFromRtc(join(directory, 'none'))).toBe(false);
  mkdirSync(join(directory, 'rtc0'));
  writeFileSync(join(directory, 'rtc0', 'hctosys'), '0\n');
  expect(bootedFromRtc(directory)).toBe(false);
  mkdirSync(join(directory, 'rtc1'));
  writeFileSync(join(directory, 'rtc1', 'hctosys'), '1\n');
  expect(bootedFromRtc(directory)).toBe(true);
  rmSync(directory, { recursive: true });
});
