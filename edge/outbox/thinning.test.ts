import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SampleRecord } from '@waystation/protocol/records';
import { drop, thin, THINNED_SPAN_MAX, type StoredSample } from './thinning.ts';

const record = fc.record({
  kind: fc.constant('report' as const),
  at: fc.nat(),
  mono: fc.nat(),
  boot: fc.constantFrom('abcdef01', 'abcdef01', 'abcdef01', 'abcdef02'),
  clock: fc.constantFrom('synced' as const, 'synced' as const, 'unknown' as const),
  values: fc.record({ co2_ppm: fc.nat(10_000), cups_count: fc.nat(2_000) }, { requiredKeys: [] }),
});
/** Consecutive stored samples, as the file holds them. */
const stored = fc
  .array(fc.tuple(record, fc.integer({ min: 1, max: 40 })), { maxLength: 40 })
  .map((list) => {
    let seq = 1;
    return list.map(([record, span]): StoredSample => {
      const sample = { seq, span, record: span === 1 ? record : { ...record, span } };
      seq += span;
      return sample;
    });
  });

test('thinning keeps every number, the newest stamp, the newest value of each measurement, and both boots apart', () => {
  let merged = 0;
  fc.assert(
    fc.property(stored, (samples) => {
      for (const { from_seq, to_seq, by } of thin(samples)) {
        const replaced = samples.filter(({ seq }) => seq >= from_seq && seq <= to_seq);
        const [older, newer] = replaced;
        expect(replaced).toHaveLength(2);
        expect(by).toMatchObject({ seq: from_seq, span: to_seq - from_seq + 1 });
        expect(by.span).toBe((older?.span ?? 0) + (newer?.span ?? 0));
        expect(by.span).toBeLessThanOrEqual(THINNED_SPAN_MAX);
        const records = replaced.map(
          (sample) => sample.record as Extract<SampleRecord, { kind: 'report' }>,
        );
        expect(by.record).toEqual({
          ...records[1],
          span: by.span,
          values: { ...records[0]?.values, ...records[1]?.values },
        });
        expect(records[0]?.boot).toBe(records[1]?.boot);
        merged += 1;
      }
    }),
    { numRuns: 1_000 },
  );
  expect(merged).toBeGreaterThan(100);
});

test('dropping leaves one gap over everything, and a gap grows', () => {
  fc.assert(
    fc.property(stored, (samples) => {
      const first = drop(samples, 'diskBudget');
      const [oldest, newest] = [samples[0], samples.at(-1)];
      if (!oldest || !newest) {
        expect(first).toBeNull();
        return;
      }
      const span = newest.seq + newest.span - 1;
      expect(first).toMatchObject({ from_seq: 1, to_seq: span });
      const gap = first?.by.record;
      expect(gap).toMatchObject({
        kind: 'gap',
        span,
        at: newest.record.at,
        from_at: (oldest.record as { at: number }).at,
      });
      const later = { seq: span + 1, span: 1, record: newest.record };
      const second = drop([...(first ? [first.by] : []), later], 'diskBudget');
      expect(second?.by.record).toMatchObject({
        span: span + 1,
        from_at: (oldest.record as { at: number }).at,
      });
    }),
  );
});
