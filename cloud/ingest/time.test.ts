import { describe, expect, it } from 'vitest';
import { bandOf, believedAt, restamp, shanghaiDay } from './time.ts';

const NOW = Date.UTC(2026, 10, 22, 4, 0, 0);
const stamp = { at: NOW - 5, mono: 7_000, boot: '0badcafe', clock: 'unknown' } as const;

describe('time of a record', () => {
  it('is re-stamped by the offset of its own boot, if its clock was unknown', () => {
    expect(restamp(stamp, { '0badcafe': NOW - 7_000 })).toEqual({ at: NOW, clock: 'holdover' });
    expect(restamp(stamp, { deadbeef: 1 })).toEqual({ at: NOW - 5, clock: 'unknown' });
    expect(restamp({ ...stamp, clock: 'synced' }, { '0badcafe': 1 })).toEqual({
      at: NOW - 5,
      clock: 'synced',
    });
  });

  it('does not follow an offset out of the calendar', () => {
    expect(restamp(stamp, { '0badcafe': -8_000 })).toEqual({ at: NOW - 5, clock: 'unknown' });
    expect(restamp(stamp, { '0badcafe': 8_640_000_000_000_000 })).toEqual({
      at: NOW - 5,
      clock: 'unknown',
    });
  });

  it('is never believed to lie ahead, nor on an unknown clock', () => {
    expect(believedAt({ at: NOW + 1, clock: 'synced' }, NOW)).toBe(NOW);
    expect(believedAt({ at: NOW - 1, clock: 'holdover' }, NOW)).toBe(NOW - 1);
    expect(believedAt({ at: NOW - 1, clock: 'unknown' }, NOW)).toBe(NOW);
  });

  it.each([
    [-1_000, 'live'],
    [60_000, 'live'],
    [60_001, 'grace'],
    [600_000, 'grace'],
    [600_001, 'late'],
    [86_400_000, 'late'],
    [86_400_001, 'archive'],
  ])('of age %i ms is %s', (age_ms, band) => {
    expect(bandOf(NOW - age_ms, NOW)).toBe(band);
  });

  it.each([
    ['2026-11-21T15:59:59.999Z', '2026-11-21'],
    ['2026-11-21T16:00:00.000Z', '2026-11-22'],
    ['2024-02-28T16:00:00.000Z', '2024-02-29'],
    ['1969-12-31T16:00:00.000Z', '1970-01-01'],
  ])('%s is the day %s in Shanghai', (at, day) => {
    expect(shanghaiDay(Date.parse(at))).toBe(day);
    const zoned = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(
      Date.parse(at),
    );
    expect(zoned).toBe(day);
  });
});
