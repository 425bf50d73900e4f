import { afterEach, describe, expect, test, vi } from 'vitest';
import { epochMs, fakeClock, systemClock } from './clock.ts';

describe('fakeClock', () => {
  test('fires timers in order of time, then of setting, and settles promises between them', async () => {
    const clock = fakeClock();
    const seen: string[] = [];
    clock.after(20, () => seen.push('b'));
    clock.after(10, () => seen.push('a'));
    clock.after(20, () => seen.push('c'));
    void clock.sleep(15).then(() => seen.push(`slept until ${clock.mono()}`));
    await clock.advance(20);
    expect(seen).toEqual(['a', 'slept until 15', 'b', 'c']);
  });

  test('a repeating timer repeats until it is stopped, also from within', async () => {
    const clock = fakeClock();
    let ticks = 0;
    const timer = clock.every(10, () => {
      ticks += 1;
      if (ticks === 3) timer.stop();
    });
    await clock.advance(100);
    expect(ticks).toBe(3);
  });

  test('a wall step moves the wall clock and no timer', async () => {
    const clock = fakeClock(epochMs(1000));
    let fired = false;
    clock.after(50, () => (fired = true));
    clock.stepWall(3_600_000);
    expect(clock.wall()).toBe(3_601_000);
    expect(clock.mono()).toBe(0);
    await clock.advance(49);
    expect(fired).toBe(false);
    await clock.advance(1);
    expect(fired).toBe(true);
  });

  test('an aborted sleep returns at once', async () => {
    const clock = fakeClock();
    const abort = new AbortController();
    const sleeping = clock.sleep(1_000_000, abort.signal);
    abort.abort();
    await sleeping;
    expect(clock.mono()).toBe(0);
  });
});

describe('systemClock', () => {
  afterEach(() => vi.useRealTimers());
  const DAY_MS = 86_400_000;

  test('waits longer than 32 bits can count', () => {
    vi.useFakeTimers();
    const fired: string[] = [];
    const clock = systemClock();
    clock.after(90 * DAY_MS, () => fired.push('90 days'));
    const stopped = clock.after(60 * DAY_MS, () => fired.push('stopped'));
    clock.after(2 ** 31 - 1, () => fired.push('the longest at once'));
    vi.advanceTimersByTime(24 * DAY_MS);
    expect(fired).toEqual([]);
    vi.advanceTimersByTime(6 * DAY_MS);
    stopped.stop();
    vi.advanceTimersByTime(60 * DAY_MS - 1);
    expect(fired).toEqual(['the longest at once']);
    vi.advanceTimersByTime(1);
    expect(fired).toEqual(['the longest at once', '90 days']);
  });

  test('refuses a period that would be counted as 1 ms', () => {
    expect(() => systemClock().every(25 * DAY_MS, () => {})).toThrow(/period/);
  });
});
