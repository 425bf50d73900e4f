import { expect, test } from 'vitest';
import fc from 'fast-check';
import {
  decodeFrames,
  encodeFrames,
  type Frame,
  type UplinkAnswer,
} from '@waystation/protocol/gateway-link';
import { stationCode } from '@waystation/protocol/station-code';
import { uplinkTopic, type Stream } from '@waystation/protocol/topics';
import { fakeClock } from '@waystation/runtime/clock';
import { createBatcher, encodeBatch } from './batcher.ts';
import { createBreaker } from './breaker.ts';
import { createCounters } from './metrics.ts';

const LIMITS = {
  batch_messages_max: 3,
  batch_bytes_max: 100_000,
  pending_bytes_max: 10_000,
  linger_ms: 10,
  posts_in_flight_max: 2,
};

/** A batcher whose posts the test answers by hand. */
function subject() {
  const clock = fakeClock();
  const counters = createCounters();
  const breaker = createBreaker(() => 1, { first_ms: 100, max_ms: 1_000 });
  const posts: { frames: Frame[]; answer: PromiseWithResolvers<UplinkAnswer> }[] = [];
  const acked: string[] = [];
  const outage: string[] = [];
  const batcher = createBatcher({
    limits: LIMITS,
    clock,
    counters,
    breaker,
    post(body) {
      const answer = Promise.withResolvers<UplinkAnswer>();
      posts.push({ frames: decodeFrames(body) ?? [], answer });
      return answer.promise;
    },
    onAck: (station, ack) => acked.push(`${station.slice(10, 14)} ${ack.stream} ${ack.through}`),
    outage: { failed: (cause) => outage.push(String(cause)), worked: () => outage.push('worked') },
  });
  const offer = (number: number, text = '', stream: Stream = 'sample') => {
    const station = stationCode('370102001', 'W', number);
    batcher.offer(station, stream, uplinkTopic(station, stream), Buffer.from(text));
  };
  const sizes = () => posts.map(({ frames }) => frames.length);
  const answer = (index: number, numbers: number[] = []) => {
    const acks = numbers.map((number) => ({
      station: stationCode('370102001', 'W', number),
      ack: { stream: 'event' as const, epoch: '0123456789ab', through: 7 },
    }));
    posts[index]?.answer.resolve({ acks });
    return clock.advance(0);
  };
  const fail = (index: number) => {
    posts[index]?.answer.reject(new Error('away'));
    return clock.advance(0);
  };
  return { clock, counters, batcher, breaker, posts, acked, outage, offer, sizes, answer, fail };
}

test('the first message waits for others, a full batch waits for nobody', async () => {
  const { clock, offer, sizes } = subject();
  offer(1);
  offer(2);
  await clock.advance(9);
  expect(sizes()).toEqual([]);
  await clock.advance(1);
  expect(sizes()).toEqual([2]);
  offer(3);
  offer(4);
  offer(5);
  expect(sizes()).toEqual([2, 3]);
});

test('no more posts in flight than allowed; what waited goes with the next answer', async () => {
  const { clock, offer, sizes, answer, batcher } = subject();
  for (let number = 1; number <= 8; number += 1) offer(number);
  await clock.advance(50);
  expect(sizes()).toEqual([3, 3]);
  expect(batcher.posts_in_flight).toBe(2);
  await answer(1);
  expect(sizes()).toEqual([3, 3, 2]);
});

test('one post more is kept for events, and while the cloud is doubtful it is not', async () => {
  const { clock, offer, sizes, fail, batcher, posts } = subject();
  for (let number = 1; number <= 8; number += 1) offer(number);
  await clock.advance(50);
  expect(sizes()).toEqual([3, 3]);
  offer(9, '', 'event');
  offer(10, '', 'event');
  await clock.advance(10);
  expect(sizes()).toEqual([3, 3, 2]);
  expect(posts[2]?.frames.every(({ topic }) => topic.endsWith('/event'))).toBe(true);
  offer(11, '', 'event');
  await clock.advance(50);
  expect(batcher.posts_in_flight).toBe(3);
  await fail(0);
  await fail(1);
  offer(12, '', 'event');
  await clock.advance(50);
  expect(batcher.posts_in_flight).toBeLessThan(3);
});

test('acknowledgements come from answers and from nowhere else', async () => {
  const { clock, offer, answer, fail, acked, counters } = subject();
  offer(1);
  await clock.advance(10);
  offer(2);
  await clock.advance(10);
  await fail(0);
  expect(acked).toEqual([]);
  expect(counters.dropped_post_failed).toBe(1);
  await answer(1, [2]);
  expect(acked).toEqual(['0002 event 7']);
});

test('two failures in a row stop the posts; one probe after the pause brings them back', async () => {
  const { clock, offer, sizes, fail, answer, counters, outage, breaker } = subject();
  for (let number = 1; number <= 20; number += 1) offer(number);
  await fail(0);
  await fail(1);
  expect([breaker.state, sizes()]).toEqual(['open', [3, 3, 3]]);
  expect(counters.dropped_cloud_away).toBe(11);
  await fail(2);
  offer(1);
  await clock.advance(99);
  offer(2);
  expect([sizes().length, counters.dropped_cloud_away]).toEqual([3, 13]);
  await clock.advance(1);
  for (let number = 1; number <= 9; number += 1) offer(number);
  expect([breaker.state, sizes()]).toEqual(['probing', [3, 3, 3, 3]]);
  await answer(3);
  expect([breaker.state, sizes()]).toEqual(['closed', [3, 3, 3, 3, 3, 3]]);
  expect(outage).toEqual([...Array.from({ length: 3 }, () => 'Error: away'), 'worked']);
});

test('stop takes nothing more and waits for what is in flight', async () => {
  const { clock, offer, sizes, answer, batcher, acked, counters } = subject();
  offer(1);
  await clock.advance(10);
  offer(2);
  let stopped = false;
  const stop = batcher.stop().then(() => {
    stopped = true;
  });
  offer(3);
  await clock.advance(100);
  expect([stopped, sizes()]).toEqual([false, [1]]);
  await answer(0, [1]);
  await stop;
  expect(acked).toEqual(['0001 event 7']);
  expect(counters.dropped_cloud_away).toBe(2);
});

test('over the limit messages are dropped and counted', () => {
  const { offer, counters, batcher } = subject();
  for (let number = 1; number <= 200; number += 1) offer(number, 'x'.repeat(100), 'event');
  expect(counters.dropped_overflow_event).toBeGreaterThan(100);
  expect(counters.uplink_messages + counters.dropped_overflow_event).toBe(200);
  expect(batcher.pending_bytes).toBeLessThanOrEqual(LIMITS.pending_bytes_max);
});

test('the frames are those of the contract, byte by byte', () => {
  const frame = fc.record({
    topic: fc.constantFrom('ws/1/370102001W0001E/up/event', 'ws/1/370102001W0001E/up/sample'),
    payload: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), (frames) => {
      expect(Buffer.from(encodeBatch(frames))).toEqual(Buffer.from(encodeFrames(frames)));
    }),
  );
});
