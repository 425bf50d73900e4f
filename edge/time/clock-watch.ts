/** Notices that the wall clock was set or its quality changed, and remembers good time for the next start. */
import type { ClockQuality, EventRecord } from '@waystation/protocol/records';
import type { Clock, Timer } from '@waystation/runtime/clock';
import type { Boot, ClockSource } from '../ports.ts';
import type { DurableTable } from '../outbox/durable-table.ts';
import { keepAnchor } from './clock-memory.ts';
import { HOLDOVER_LIMITS, type Judgement } from './clock-source.ts';

const LOOK_EVERY_MS = 1_000;
/** How often the good time is written: it only has to be a floor. */
const KEEP_EVERY_MS = 3_600_000;
const GOOD_TIME = 'good_time_ms';
/** A clock may be set back this much and still be believed. */
const FLOOR_GRACE_MS = 60_000;

export interface ClockLook {
  quality: ClockQuality;
  /** Wall minus time since the boot. */
  offset_ms: number;
}

export interface ClockChange extends ClockLook {
  /** How far the wall clock jumped since the look before. */
  step_ms: number;
}

/** What changed between two looks; null when nothing worth a record did. */
export function compareLooks(
  before: ClockLook | null,
  now: ClockLook,
  step_ms_min = HOLDOVER_LIMITS.step_ms,
): ClockChange | null {
  const step_ms = before === null ? 0 : now.offset_ms - before.offset_ms;
  if (before !== null && before.quality === now.quality && Math.abs(step_ms) < step_ms_min)
    return null;
  return { ...now, step_ms };
}

/** The earliest time it can be: what was last known to be right, or when the software was built. */
export function clockFloor(table: DurableTable, built_at_ms: number): () => number {
  return () => Math.max(built_at_ms, Number(table.get(GOOD_TIME) ?? 0) - FLOOR_GRACE_MS);
}

export interface ClockWatchOptions {
  clock: Clock;
  source: ClockSource & { judge(): Judgement };
  boot: Boot;
  boot_mono_ms: number;
  table: DurableTable;
  /** Re-stamps the records of this boot that were made before its clock was set (`store.setOffset`). */
  setOffset: (boot: string, offset_ms: number) => void;
  /** The station appends this as its event; the first look always tells. */
  changed: (
    change: Omit<Extract<EventRecord, { kind: 'clock' }>, 'at' | 'mono' | 'boot' | 'clock'>,
  ) => void;
}

export function watchClock(options: ClockWatchOptions): { stop(): void } {
  const { clock, source, boot, boot_mono_ms, table } = options;
  let before: ClockLook | null = null;
  let kept_at: number | null = null;
  const look = () => {
    const offset_ms = Math.round(clock.wall() - clock.mono() - boot_mono_ms);
    const now: ClockLook = { quality: source.quality(), offset_ms };
    const change = compareLooks(before, now);
    if (
      now.quality === 'synced' &&
      (kept_at === null || clock.mono() - kept_at >= KEEP_EVERY_MS || change !== null)
    ) {
      kept_at = clock.mono();
      const [wall, mono] = [clock.wall(), clock.mono()];
      table.put(GOOD_TIME, String(Math.round(wall)));
      const error_ms = source.judge().error_ms ?? 0;
      keepAnchor(table, { boot: boot.id, wall, since_boot: mono + boot_mono_ms, error_ms });
    }
    if (change === null) return; // slow drift adds up against the last record, not against the last look
    before = now;
    if (now.quality === 'synced') options.setOffset(boot.id, offset_ms);
    options.changed({ kind: 'clock', ...change });
  };
  look();
  const timer: Timer = clock.every(LOOK_EVERY_MS, look);
  return { stop: () => timer.stop() };
}
