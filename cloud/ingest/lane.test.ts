import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLane } from './lane.ts';

interface Message {
  key: number;
  n: number;
}

function laneWith(
  work: (messages: readonly Message[]) => Promise<string>,
  more: { waiting_max?: number } = {},
) {
  return createLane<Message, string>({
    keyOf: ({ key }) => key,
    weightOf: () => 1,
    work,
    in_flight_max: 2,
    batch_messages_max: 5,
    batch_weight_max: 100,
    waiting_max: 1_000,
    ...more,
  });
}

describe('lane', () => {
  it('keeps the order of every key, never works on one twice at a time, and joins what waits', async () => {
    let batches = 0;
    let messages_in_all = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 9 }), { maxLength: 9 }),
        async (s, calls) => {
          const seen = new Map<number, number[]>();
          const held = new Set<number>();
          const lane = laneWith(async (messages) => {
            batches += 1;
            const keys = new Set(messages.map(({ key }) => key));
            for (const key of keys) {
              expect(held.has(key)).toBe(false);
              held.add(key);
            }
            await s.schedule(Promise.resolve(), 'work');
            for (const { key, n } of messages) seen.set(key, [...(seen.get(key) ?? []), n]);
            for (const key of keys) held.delete(key);
            return 'done';
          });
          let n = 0;
          const answers = calls.map((keys) =>
            lane.submit(keys.map((key) => ({ key, n: (n += 1) }))),
          );
          await s.waitFor(Promise.all(answers));
          await lane.idle();
          for (const order of seen.values()) expect(order).toEqual(order.toSorted((a, b) => a - b));
          expect([...seen.values()].flat()).toHaveLength(n);
          messages_in_all += n;
        },
      ),
    );
    expect(batches).toBeLessThan(messages_in_all);
  });

  it('answers with what succeeded, and fails only when nothing did', async () => {
    const lane = laneWith(async ([first]) => {
      if (first?.key === 1) throw new Error('no');
      return `${first?.key}`;
    });
    const five = (key: number) => Array.from({ length: 5 }, (_, n) => ({ key, n }));
    expect(await lane.submit([...five(1), ...five(2)])).toEqual(['2']);
    await expect(lane.submit(five(1))).rejects.toThrow('no');
    expect(await lane.submit([])).toEqual([]);
  });

  it('refuses what it cannot hold', async () => {
    const lane = laneWith(async () => 'done', { waiting_max: 3 });
    const messages = Array.from({ length: 4 }, (_, n) => ({ key: n, n }));
    await expect(lane.submit(messages)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await lane.submit(messages.slice(1))).toEqual(['done']);
  });
});
