import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { EventRecord, SampleRecord, spanOf } from './records.ts';
import { UPLINK_RECORDS_MAX, UplinkMessage } from './uplink.ts';

const stamp = { at: 1_780_000_000_000, mono: 12_345, boot: '0a1b2c3d', clock: 'synced' as const };
const door = { kind: 'door', ...stamp, from: 'secured', to: 'released', cause: 'card' };
const report = { kind: 'report', ...stamp, values: { water_level_percent: 80.5 } };
const message = { epoch: '0123456789ab', first: 1, previous_hash: 'a'.repeat(64), records: [door] };

describe('uplink', () => {
  test('accepts what a station sends', () => {
    expect(UplinkMessage.safeParse(message).success).toBe(true);
    expect(EventRecord.safeParse(door).success).toBe(true);
    expect(SampleRecord.safeParse(report).success).toBe(true);
    expect(spanOf(SampleRecord.parse({ ...report, span: 10 }))).toBe(10);
    expect(spanOf(SampleRecord.parse(report))).toBe(1);
  });

  test.each([
    ['an unknown field', { ...message, extra: 1 }],
    ['no records', { ...message, records: [] }],
    [
      'too many records',
      { ...message, records: Array.from({ length: UPLINK_RECORDS_MAX + 1 }, () => door) },
    ],
    ['a sequence number of 0', { ...message, first: 0 }],
    ['an unsafe sequence number', { ...message, first: 2 ** 53 }],
    ['an epoch of another shape', { ...message, epoch: 'XYZ' }],
    ['a hash of another shape', { ...message, previous_hash: 'a' }],
  ])('refuses %s', (_, bad) => {
    expect(UplinkMessage.safeParse(bad).success).toBe(false);
  });

  test.each([
    ['an unknown kind', { ...door, kind: 'window' }],
    ['an unknown field', { ...door, name: '李' }],
    ['an unknown state', { ...door, to: 'ajar' }],
    ['a time before 1970', { ...door, at: -1 }],
    ['a missing clock quality', { ...door, clock: undefined }],
  ])('refuses an event with %s', (_, bad) => {
    expect(EventRecord.safeParse(bad).success).toBe(false);
  });

  test('refuses a sample outside the range of its register, or of no register', () => {
    expect(
      SampleRecord.safeParse({ ...report, values: { water_level_percent: 100.5 } }).success,
    ).toBe(false);
    expect(SampleRecord.safeParse({ ...report, values: { petrol_percent: 1 } }).success).toBe(
      false,
    );
    expect(SampleRecord.safeParse({ ...report, span: 0 }).success).toBe(false);
  });

  test('20,000 mutated messages: never a throw, and both verdicts are reached', () => {
    const reached = { accepted: 0, refused: 0 };
    const value = fc.oneof(
      fc.constant(null),
      fc.integer(),
      fc.double(),
      fc.string(),
      fc.boolean(),
      fc.constant([]),
      fc.constant({}),
      fc.object({ maxDepth: 2 }),
    );
    const mutation = fc.tuple(
      fc.constantFrom(...Object.keys(message), 'offsets', '__proto__', 'x'),
      fc.option(value, { nil: undefined }),
    );
    fc.assert(
      fc.property(
        fc.option(mutation, { nil: undefined }),
        fc.option(fc.tuple(fc.constantFrom(...Object.keys(door), 'extra'), value), {
          nil: undefined,
        }),
        (outer, inner) => {
          const record: Record<string, unknown> = inner ? { ...door, [inner[0]]: inner[1] } : door;
          const mutated: Record<string, unknown> = { ...message, records: [record] };
          if (outer) mutated[outer[0]] = outer[1];
          const envelope = UplinkMessage.safeParse(JSON.parse(JSON.stringify(mutated)));
          const good =
            envelope.success &&
            envelope.data.records.every((one) => EventRecord.safeParse(one).success);
          reached[good ? 'accepted' : 'refused'] += 1;
        },
      ),
      { numRuns: 20_000 },
    );
    expect(reached.accepted).toBeGreaterThan(500);
    expect(reached.refused).toBeGreaterThan(5_000);
  });
});
