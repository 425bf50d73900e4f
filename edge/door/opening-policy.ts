/**
 * When a station is open, in local time. Every station of the province lives in one zone without summer time,
 * so local time is arithmetic, not a time-zone database.
 */
import type { EpochMs } from '@waystation/runtime/clock';

/** Asia/Shanghai has been UTC+8 without summer time since 1991-09-15 (IANA tz database, `asia`). */
const SHANGHAI_OFFSET_MINUTES = 8 * 60;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;

/** Minutes of the day; `until_minute` may pass midnight (up to 2880) and is not itself open any more. */
export interface OpeningSpan {
  from_minute: number;
  until_minute: number;
}

/** `always`, or spans for each day from Monday to Sunday; a day without a span is closed. */
export type OpeningPolicy =
  | { hours: 'always' }
  | { hours: 'weekly'; week: readonly (readonly OpeningSpan[])[] };

export const ALWAYS_OPEN: OpeningPolicy = { hours: 'always' };

/** Heat or cold alert: the posted hours do not count until then. */
export interface OpeningOverride {
  reason: 'heat' | 'cold';
  until_at: EpochMs;
}

/** Minutes since Monday 00:00 in Asia/Shanghai. */
export function minuteOfWeek(at: EpochMs): number {
  // 1970-01-01 was a Thursday: three days after a Monday.
  const local_minutes = Math.floor(at / 60_000) + SHANGHAI_OFFSET_MINUTES + 3 * DAY_MINUTES;
  return ((local_minutes % WEEK_MINUTES) + WEEK_MINUTES) % WEEK_MINUTES;
}

export function isOpen(
  policy: OpeningPolicy,
  at: EpochMs,
  override: OpeningOverride | null,
): boolean {
  if (policy.hours === 'always') return true;
  if (override !== null && at < override.until_at) return true;
  const minute = minuteOfWeek(at);
  return policy.week.some((spans, day) =>
    spans.some(({ from_minute, until_minute }) => {
      const since_minutes =
        (minute - day * DAY_MINUTES - from_minute + 2 * WEEK_MINUTES) % WEEK_MINUTES;
      return since_minutes < until_minute - from_minute;
    }),
  );
}
