import { epochMs } from '@waystation/runtime/clock';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ALWAYS_OPEN,
  isOpen,
  minuteOfWeek,
  type OpeningPolicy,
  type OpeningSpan,
} from './opening-policy.ts';

const weekly = (spans: Record<number, OpeningSpan[]>): OpeningPolicy => ({
  hours: 'weekly',
  week: Array.from({ length: 7 }, (_, day) => spans[day] ?? []),
});
const at = (iso: string) => epochMs(Date.parse(`${iso}+08:00`));
const hours = (from: number, until: number): OpeningSpan => ({
  from_minute: from * 60,
  until_minute: until * 60,
});
const MONDAY = 0;
const SUNDAY = 6;

describe('opening policy', () => {
  test('the week begins on Monday in Shandong', () => {
    expect(minuteOfWeek(at('2026-11-23T00:00:00'))).toBe(0);
    expect(minuteOfWeek(at('2026-11-22T23:59:59'))).toBe(7 * 24 * 60 - 1);
    expect(minuteOfWeek(at('2026-11-26T12:30:00'))).toBe(3 * 24 * 60 + 12 * 60 + 30);
  });

  test('agrees with the time-zone database at any moment since 1992', () => {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: 'Asia/Shanghai',
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
    const moment = fc.integer({ min: Date.UTC(1992, 0, 1), max: Date.UTC(2080, 0, 1) });
    fc.assert(
      fc.property(moment, (ms) => {
        const parts = Object.fromEntries(
          format.formatToParts(ms).map(({ type, value }) => [type, value]),
        );
        const minute = Number(parts['hour']) * 60 + Number(parts['minute']);
        expect(minuteOfWeek(epochMs(ms))).toBe(
          days.indexOf(parts['weekday'] ?? '') * 24 * 60 + minute,
        );
      }),
    );
  });

  test('opens at the first minute and closes at the last one', () => {
    const policy = weekly({ [MONDAY]: [hours(8, 22)] });
    expect(isOpen(policy, at('2026-11-23T07:59:59'), null)).toBe(false);
    expect(isOpen(policy, at('2026-11-23T08:00:00'), null)).toBe(true);
    expect(isOpen(policy, at('2026-11-23T21:59:59'), null)).toBe(true);
    expect(isOpen(policy, at('2026-11-23T22:00:00'), null)).toBe(false);
    expect(isOpen(policy, at('2026-11-24T12:00:00'), null)).toBe(false);
  });

  test('a span may pass midnight, also from Sunday to Monday', () => {
    const policy = weekly({ [SUNDAY]: [hours(20, 30)] });
    expect(isOpen(policy, at('2026-11-22T23:00:00'), null)).toBe(true);
    expect(isOpen(policy, at('2026-11-23T05:59:00'), null)).toBe(true);
    expect(isOpen(policy, at('2026-11-23T06:00:00'), null)).toBe(false);
  });

  test('around the clock, and in an alert, the posted hours do not count', () => {
    const closed = weekly({});
    const noon = at('2026-11-23T12:00:00');
    expect(isOpen(ALWAYS_OPEN, noon, null)).toBe(true);
    expect(isOpen(closed, noon, null)).toBe(false);
    expect(isOpen(closed, noon, { reason: 'heat', until_at: epochMs(noon + 1) })).toBe(true);
    expect(isOpen(closed, noon, { reason: 'cold', until_at: noon })).toBe(false);
  });
});
