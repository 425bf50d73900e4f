/** Delays counted to the millisecond in bounded memory: exact quantiles, for as many records as there are. */

/** Longer ones stand in the last place. */
const LONGEST_MS = 120_000;

export interface DelayFigures {
  n: number;
  p50_ms: number;
  p99_ms: number;
  max_ms: number;
}

export interface Delays {
  note(delay_ms: number): void;
  figures(): DelayFigures;
  /** Begins to count anew. */
  clear(): void;
}

export function createDelays(): Delays {
  const counts = new Uint32Array(LONGEST_MS + 1);
  let n = 0;
  /** The shortest delay that at least this share of all does not exceed, rounded up to a millisecond. */
  const quantile = (share: number): number => {
    let left = Math.ceil(n * share);
    const found = counts.findIndex((count) => (left -= count) <= 0);
    return n === 0 ? 0 : found;
  };
  return {
    note(delay_ms) {
      const place = Math.min(LONGEST_MS, Math.max(0, Math.ceil(delay_ms)));
      counts[place] = (counts[place] ?? 0) + 1;
      n += 1;
    },
    figures: () => ({
      n,
      p50_ms: quantile(0.5),
      p99_ms: quantile(0.99),
      max_ms: Math.max(
        0,
        counts.findLastIndex((count) => count > 0),
      ),
    }),
    clear() {
      counts.fill(0);
      n = 0;
    },
  };
}
