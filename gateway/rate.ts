/** A token bucket that may go into debt: what has already arrived is taken, and the debt says how long to wait. */

export interface Rate {
  per_s: number;
  burst: number;
}

export interface Bucket {
  /** Spends `amount` at `now_ms` and returns how many milliseconds until the debt is paid: 0 while within the rate. */
  spend(amount: number, now_ms: number): number;
}

export function createBucket(rate: Rate, now_ms: number): Bucket {
  let tokens = rate.burst;
  let filled_at = now_ms;
  return {
    spend(amount, now) {
      tokens = Math.min(rate.burst, tokens + ((now - filled_at) / 1000) * rate.per_s) - amount;
      filled_at = now;
      return tokens >= 0 ? 0 : Math.ceil((-tokens / rate.per_s) * 1000);
    },
  };
}
