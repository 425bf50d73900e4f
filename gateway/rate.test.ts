import { expect, test } from 'vitest';
import { createBucket } from './rate.ts';

test('a burst goes at once, what is over it waits for its share of the rate', () => {
  const bucket = createBucket({ per_s: 10, burst: 20 }, 0);
  expect(bucket.spend(20, 0)).toBe(0);
  expect(bucket.spend(5, 0)).toBe(500);
  expect(bucket.spend(0, 400)).toBe(100);
  expect(bucket.spend(0, 500)).toBe(0);
  expect(bucket.spend(1, 600)).toBe(0);
});

test('rest fills the bucket, never above the burst', () => {
  const bucket = createBucket({ per_s: 10, burst: 20 }, 0);
  expect(bucket.spend(20, 3_600_000)).toBe(0);
  expect(bucket.spend(1, 3_600_000)).toBe(100);
});
