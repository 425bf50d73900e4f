/** Waiting times between attempts: doubling, with jitter, so that ten thousand stations do not return as one. */

export interface BackoffLimits {
  first_ms: number;
  max_ms: number;
}

/** Yields for ever: "equal jitter", between half and the whole of a step that doubles up to `max_ms`. */
export function* backoff(random: () => number, limits: BackoffLimits): Generator<number, never> {
  for (let base_ms = limits.first_ms; ; base_ms = Math.min(base_ms * 2, limits.max_ms)) {
    yield Math.round(base_ms * (0.5 + random() / 2));
  }
}
