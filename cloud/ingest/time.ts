/** When a record happened, as far as it can be believed, and how late it came. Pure. */
import type { ClockQuality } from '@waystation/protocol/records';
import type { Band } from '../database/schema.ts';

export interface Stamp {
  at: number;
  mono: number;
  boot: string;
  clock: ClockQuality;
}

/** ECMA-262 21.4.1.1: the range of Date, which timestamptz covers too. */
const AT_MAX_MS = 8_640_000_000_000_000;

/** Younger than this is live; then grace, late, archive. Only live and grace may page anybody. */
export const BANDS_MS = { live: 60_000, grace: 10 * 60_000, late: 24 * 3_600_000 } as const;

export function bandOf(at: number, received_at: number): Band {
  const age_ms = received_at - at;
  if (age_ms <= BANDS_MS.live) return 'live';
  if (age_ms <= BANDS_MS.grace) return 'grace';
  return age_ms <= BANDS_MS.late ? 'late' : 'archive';
}

/**
 * A record from before its boot's clock was set is re-stamped with the boot's offset (wall minus mono).
 * Without one its own wall time stands, and `clock` stays unknown.
 */
export function restamp(
  stamp: Stamp,
  offsets: Readonly<Record<string, number>> | undefined,
): { at: number; clock: ClockQuality } {
  const offset = stamp.clock === 'unknown' ? offsets?.[stamp.boot] : undefined;
  if (offset === undefined) return { at: stamp.at, clock: stamp.clock };
  const at = stamp.mono + offset;
  return at >= 0 && at <= AT_MAX_MS
    ? { at, clock: 'holdover' }
    : { at: stamp.at, clock: 'unknown' };
}

/** For what must have one place in time now: nothing lies in the future, and an unknown clock means "when it came". */
export function believedAt(
  stamped: { at: number; clock: ClockQuality },
  received_at: number,
): number {
  return stamped.clock === 'unknown' ? received_at : Math.min(stamped.at, received_at);
}

const SHANGHAI_OFFSET_MS = 8 * 3_600_000;
const DAY_MS = 24 * 3_600_000;

/** The calendar day in Asia/Shanghai (UTC+8, no summer time since 1991), as YYYY-MM-DD. */
export function shanghaiDay(at: number): string {
  const day_ms = Math.floor((at + SHANGHAI_OFFSET_MS) / DAY_MS) * DAY_MS;
  return new Date(day_ms).toISOString().slice(0, 10);
}
