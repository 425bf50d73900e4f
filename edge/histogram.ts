/** Durations in fixed buckets: bounded memory for ever, readable by Prometheus and by the benchmarks. */

/** Upper bounds in ms, fine where the door's budget lies (p50 10 ms, p99 30 ms). */
export const LATENCY_BUCKETS_MS = [
  0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 75, 100, 150, 200,
  300, 500, 1000, 2000, 5000,
] as const;

export interface HistogramSnapshot {
  /** Upper bound of each bucket, and how many fell into it alone; the last one has no bound. */
  buckets: readonly { up_to: number; count: number }[];
  count: number;
  sum: number;
}

export interface Histogram {
  observe(value: number): void;
  snapshot(): HistogramSnapshot;
}

export function createHistogram(bounds: readonly number[] = LATENCY_BUCKETS_MS): Histogram {
  const counts = Array.from<number>({ length: bounds.length + 1 }).fill(0);
  let count = 0;
  let sum = 0;
  return {
    observe(value) {
      const found = bounds.findIndex((bound) => value <= bound);
      const bucket = found < 0 ? bounds.length : found;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      count += 1;
      sum += value;
    },
    snapshot: () => ({
      buckets: counts.map((n, at) => ({ up_to: bounds[at] ?? Number.POSITIVE_INFINITY, count: n })),
      count,
      sum,
    }),
  };
}
