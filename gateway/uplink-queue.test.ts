import { expect, test } from 'vitest';
import fc from 'fast-check';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { createUplinkQueue, type Batch } from './uplink-queue.ts';

const STATIONS = [1, 2, 3, 4].map((number) => stationCode('370102001', 'W', number));
const station = (index: number) => STATIONS[index] ?? STATIONS[0]!;
const LIMITS = { batch_messages_max: 4, batch_bytes_max: 2_000, pending_bytes_max: 8_000 };

/** The queue as a test sees it: messages are numbered, batches are read as text. */
function subject(limits = LIMITS) {
  const queue = createUplinkQueue(limits);
  let number = 0;
  return {
    queue,
    offer: (index: number, stream: Stream = 'event', bytes = 0) => {
      const topic = `${index}/${stream}/${(number += 1)}`;
      return queue.offer(station(index), stream, topic, new Uint8Array(bytes)) ? topic : null;
    },
    take: () => queue.take(),
  };
}
const topicsOf = (batch: Batch | null) => batch?.messages.map(({ topic }) => topic);

test('a station waits while it is in flight, others do not', () => {
  const { queue, offer, take } = subject();
  offer(1);
  const first = take();
  offer(1);
  offer(2);
  offer(1);
  expect(topicsOf(first)).toEqual(['1/event/1']);
  expect(topicsOf(take())).toEqual(['2/event/3']);
  expect(take()).toBeNull();
  queue.settle(first!);
  expect(topicsOf(take())).toEqual(['1/event/2', '1/event/4']);
});

test('events go before samples, whoever came first', () => {
  const { offer, take } = subject();
  offer(1, 'sample');
  offer(2, 'sample');
  offer(3, 'event');
  offer(2, 'event');
  expect(topicsOf(take())).toEqual(['3/event/3', '2/event/4', '2/sample/2', '1/sample/1']);
});

test('where much waits, events go by themselves', () => {
  const limits = { ...LIMITS, batch_bytes_max: 1e6, pending_bytes_max: 1e7 };
  const { queue, offer, take } = subject(limits);
  for (const index of [0, 1, 2, 3]) offer(index, 'sample', 100_000);
  offer(3, 'event');
  const events = take();
  expect(topicsOf(events)).toEqual(['3/event/5']);
  expect(queue.events_wait).toBe(false);
  expect(topicsOf(take())).toEqual(['0/sample/1', '1/sample/2', '2/sample/3']);
  queue.settle(events!);
  expect(topicsOf(take())).toEqual(['3/sample/4']);
});

test('only events may be asked for', () => {
  const { queue, offer, take } = subject();
  offer(1, 'sample');
  expect(queue.events_wait).toBe(false);
  expect(queue.take('events')).toBeNull();
  offer(2, 'event');
  expect(queue.events_wait).toBe(true);
  expect(topicsOf(queue.take('events'))).toEqual(['2/event/2']);
  expect(topicsOf(take())).toEqual(['1/sample/1']);
});

test('a message larger than a batch goes alone', () => {
  const { offer, take } = subject();
  offer(1, 'event', 3_000);
  offer(2);
  expect(topicsOf(take())).toEqual(['1/event/1']);
  expect(topicsOf(take())).toEqual(['2/event/2']);
});

test('when memory runs out samples are refused first, then events', () => {
  const { queue, offer } = subject();
  const refused: string[] = [];
  for (let round = 0; round < 12; round += 1) {
    for (const stream of ['sample', 'event'] as const) {
      if (offer(round % 4, stream, 500) === null) refused.push(stream);
    }
  }
  expect(refused.slice(0, 2)).toEqual(['sample', 'sample']);
  expect(refused).toContain('event');
  expect(queue.pending_bytes).toBeLessThanOrEqual(LIMITS.pending_bytes_max);
});

test('discard forgets what waits, not what is in flight', () => {
  const { queue, offer, take } = subject();
  offer(1);
  const first = take();
  offer(1);
  offer(2);
  expect(queue.discard()).toBe(2);
  expect(queue.waiting).toBe(0);
  expect(take()).toBeNull();
  queue.settle(first!);
  expect(queue.pending_bytes).toBe(0);
  offer(1);
  expect(topicsOf(take())).toEqual(['1/event/4']);
});

const step = fc.oneof(
  fc.record({
    do: fc.constant('offer' as const),
    index: fc.nat(3),
    stream: fc.constantFrom('event' as const, 'sample' as const),
    bytes: fc.nat(900),
  }),
  fc.record({ do: fc.constant('take' as const) }),
  fc.record({ do: fc.constant('settle' as const), which: fc.nat(5) }),
);

test('any history: a stream keeps its order, a station is in one batch, nothing is lost or invented', () => {
  let taken_total = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { queue, offer, take } = subject();
      const accepted = new Map<string, string[]>();
      const taken = new Map<string, string[]>();
      const flying: Batch[] = [];
      const note = (into: Map<string, string[]>, topic: string) => {
        const key = topic.split('/').slice(0, 2).join('/');
        into.set(key, [...(into.get(key) ?? []), topic]);
      };
      const takeOne = () => {
        const batch = take();
        if (batch === null) return false;
        const busy = new Set(
          flying.flatMap(({ sources }) => sources.map((source) => source.station)),
        );
        expect(batch.sources.filter((source) => busy.has(source.station))).toEqual([]);
        expect(batch.messages.length).toBeLessThanOrEqual(LIMITS.batch_messages_max);
        for (const { topic } of batch.messages) note(taken, topic);
        flying.push(batch);
        return true;
      };
      const settle = (which: number) => {
        for (const batch of flying.splice(which % Math.max(1, flying.length), 1))
          queue.settle(batch);
      };
      for (const action of steps) {
        if (action.do === 'take') takeOne();
        else if (action.do === 'settle') settle(action.which);
        else {
          const topic = offer(action.index, action.stream, action.bytes);
          if (topic !== null) note(accepted, topic);
        }
      }
      while (flying.length > 0 || takeOne()) settle(0);
      expect(taken).toEqual(accepted);
      expect([queue.waiting, queue.pending_bytes]).toEqual([0, 0]);
      taken_total += taken.size;
    }),
    { numRuns: 500 },
  );
  expect(taken_total).toBeGreaterThan(500);
});
