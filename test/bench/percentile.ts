/** Nearest-rank percentiles of measured times. */

/** `p` from 0 to 100; NaN for no values. Rounded to 3 decimals. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
  return Number(value.toFixed(3));
}
