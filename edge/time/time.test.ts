import { describe, expect, test } from 'vitest';
import { epochMs, fakeClock } from '@waystation/runtime/clock';
import type { ClockQuality } from '@waystation/protocol/records';
import type { DurableTable } from '../outbox/durable-table.ts';
import { openAdjtimex, readTimex } from './adjtimex.ts';
import { readBoot, sinceBoot } from './boot.ts';
import { keptAnchor } from './clock-memory.ts';
import {
  hostClock,
  judgeClock,
  trustedHost,
  type Anchor,
  type Discipline,
} from './clock-source.ts';
import { clockFloor, watchClock, type ClockWatchOptions } from './clock-watch.ts';
import { createStamp } from './stamp.ts';

const DAY_MS = 86_400_000;
const BUILT_MS = 1_770_000_000_000;
const NOW = { wall: 1_780_000_000_000, mono: 50_000 };
const synced: Discipline = { synced: true, max_error_ms: 4 };
const unsynced: Discipline = { synced: false, max_error_ms: 16_000 };
const anchor: Anchor = { ...NOW, error_ms: 4 };

describe('judgement of the clock', () => {
  test('in one table', async () => {
    const later = (ms: number, step_ms = 0) => ({
      wall: NOW.wall + ms + step_ms,
      mono: NOW.mono + ms,
    });
    const cases = {
      'synced now': judgeClock(null, NOW, synced, BUILT_MS),
      'synced, yet before the software was built': judgeClock(
        anchor,
        { wall: 1_000, mono: 60_000 },
        synced,
        BUILT_MS,
      ),
      'never synced': judgeClock(null, NOW, unsynced, BUILT_MS),
      'no kernel to ask': judgeClock(null, NOW, null, BUILT_MS),
      'lost an hour ago': judgeClock(anchor, later(3_600_000), unsynced, BUILT_MS),
      'lost 91 days ago': judgeClock(anchor, later(91 * DAY_MS), unsynced, BUILT_MS),
      'lost 93 days ago': judgeClock(anchor, later(93 * DAY_MS), unsynced, BUILT_MS),
      'lost, then set by hand by 501 ms': judgeClock(anchor, later(1_000, 501), unsynced, BUILT_MS),
      'lost, then set by hand by 499 ms': judgeClock(anchor, later(1_000, 499), unsynced, BUILT_MS),
      'lost, then reset to 1970': judgeClock(
        anchor,
        { wall: 60_000, mono: NOW.mono + 1_000 },
        unsynced,
        BUILT_MS,
      ),
    };
    const lines = Object.entries(cases).map(([name, { quality, error_ms, anchor }]) => {
      const bound = error_ms === null ? '' : ` ±${Math.round(error_ms)} ms`;
      return `${name} -> ${quality}${bound}${anchor === null ? '' : ', anchored'}`;
    });
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('clock-source.table.txt');
  });

  test('asks the kernel once a second, and never believes a clock behind its floor', async () => {
    const clock = fakeClock();
    let asked = 0;
    const source = hostClock({
      clock,
      floor: () => BUILT_MS,
      discipline: () => {
        asked += 1;
        return synced;
      },
    });
    for (let n = 0; n < 5; n += 1) expect(source.quality()).toBe('synced');
    expect(asked).toBe(1);
    await clock.advance(1_000);
    expect(source.quality()).toBe('synced');
    expect(asked).toBe(2);
    clock.stepWall(-1_700_000_000_000);
    expect(source.quality()).toBe('unknown');
  });

  test('a trusted host is synced, until its clock falls to 1970', () => {
    const clock = fakeClock();
    const source = hostClock({ clock, floor: () => BUILT_MS, discipline: trustedHost });
    expect(source.judge()).toMatchObject({ quality: 'synced', error_ms: 0 });
    clock.stepWall(-1_780_000_000_000);
    expect(source.quality()).toBe('unknown');
  });
});

describe('the kernel', () => {
  /** struct timex as the kernel's headers lay it out on 64-bit (include/uapi/linux/timex.h). */
  function timex(status: number, max_error_us: bigint): Uint8Array {
    const bytes = new Uint8Array(208);
    const view = new DataView(bytes.buffer);
    view.setBigInt64(24, max_error_us, true);
    view.setInt32(40, status, true);
    return bytes;
  }

  test('is read at the offsets of its header', () => {
    expect(readTimex(timex(0x2001, 3_500n))).toEqual({ synced: true, max_error_ms: 3.5 }); // STA_PLL | STA_NANO
    expect(readTimex(timex(0x0040, 16_000_000n))).toEqual({ synced: false, max_error_ms: 16_000 });
    expect(readTimex(timex(0x2001, 16_000_000n))).toEqual({ synced: false, max_error_ms: 16_000 });
  });

  test('answers', () => {
    const answer = openAdjtimex()();
    if (process.platform !== 'linux') return expect(answer).toBeNull();
    expect(answer?.max_error_ms).toBeGreaterThan(0);
    return expect(answer?.max_error_ms).toBeLessThan(100_000);
  });
});

describe('boot', () => {
  test('has the same id for everybody, and one axis of time', () => {
    expect(readBoot(() => 0)).toEqual(readBoot(() => 0.5));
    expect(readBoot(() => 0).id).toMatch(/^[0-9a-f]{8}$/);
    expect(readBoot(() => 0.999, '/nowhere').id).toMatch(/^[0-9a-f]{8}$/);
    expect(sinceBoot(250, 5_000_900_000n)).toBe(4_750);
  });

  test('stamps a record', () => {
    const clock = fakeClock(epochMs(1_780_000_000_000));
    const stamp = createStamp(clock, { id: 'abcdef01' }, { quality: () => 'holdover' }, 4_750.4);
    expect(stamp()).toEqual({
      at: 1_780_000_000_000,
      mono: 4_750,
      boot: 'abcdef01',
      clock: 'holdover',
    });
  });
});

describe('watching the clock', () => {
  function watched() {
    const clock = fakeClock();
    const rows = new Map<string, string>();
    const table: DurableTable = {
      get: (key) => rows.get(key) ?? null,
      put: (key, value) => void rows.set(key, value),
      delete: (key) => void rows.delete(key),
      entries: () => [...rows],
      prune: () => {},
    };
    const world = {
      quality: 'unknown' as ClockQuality,
      offsets: [] as number[],
      changes: [] as unknown[],
    };
    const options: ClockWatchOptions = {
      clock,
      source: {
        quality: () => world.quality,
        judge: () => ({ quality: world.quality, error_ms: 7, anchor: null }),
      },
      boot: { id: 'abcdef01' },
      boot_mono_ms: 0,
      table,
      setOffset: (_, offset_ms) => void world.offsets.push(offset_ms),
      changed: (change) => void world.changes.push(change),
    };
    return { clock, table, world, watch: watchClock(options) };
  }
  const START = 1_780_000_000_000;

  test('tells the first look, a synchronisation with its step, and re-stamps the boot', async () => {
    const { clock, world, watch } = watched();
    expect(world.changes).toEqual([
      { kind: 'clock', quality: 'unknown', offset_ms: START, step_ms: 0 },
    ]);
    expect(world.offsets).toEqual([]);
    clock.stepWall(5_000);
    world.quality = 'synced';
    await clock.advance(1_000);
    expect(world.changes[1]).toEqual({
      kind: 'clock',
      quality: 'synced',
      offset_ms: START + 5_000,
      step_ms: 5_000,
    });
    expect(world.offsets).toEqual([START + 5_000]);
    watch.stop();
  });

  test('many small steps are one large one', async () => {
    const { clock, world, watch } = watched();
    for (let n = 0; n < 6; n += 1) {
      clock.stepWall(90);
      await clock.advance(1_000);
    }
    expect(world.changes).toHaveLength(2);
    expect(world.changes[1]).toMatchObject({ step_ms: 540 });
    watch.stop();
  });

  test('keeps good time once an hour as the floor of the next start', async () => {
    const { clock, table, world, watch } = watched();
    const floor = clockFloor(table, BUILT_MS);
    expect(floor()).toBe(BUILT_MS);
    world.quality = 'synced';
    await clock.advance(1_000);
    const first = floor();
    expect(first).toBe(START + 1_000 - 60_000); // a minute of grace: a clock may be set back a little
    await clock.advance(3_500_000);
    expect(floor()).toBe(first);
    await clock.advance(200_000);
    expect(floor()).toBeGreaterThan(first + 3_500_000);
    expect(keptAnchor(table)).toMatchObject({ boot: 'abcdef01', error_ms: 7 });
    watch.stop();
  });
});
