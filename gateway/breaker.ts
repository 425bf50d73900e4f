/**
 * Whether the cloud may be asked. Two failures in a row open it; after a jittered, doubling pause one post probes.
 * It saves work and spares a cloud that comes back; it is no retry: what failed is the station's to send again.
 */
import { backoff, type BackoffLimits } from '@waystation/runtime/backoff';

export type BreakerState =
  | { name: 'closed'; failures: 0 | 1 }
  | { name: 'open'; until_ms: number }
  | { name: 'probing' };
export type BreakerInput =
  | { input: 'succeeded' }
  /** `pause_ms`: how long to stay open, if this opens it. */
  | { input: 'failed'; now_ms: number; pause_ms: number }
  | { input: 'time'; now_ms: number };

/** Pure. A late answer of a post from before the opening changes nothing while open. */
export function stepBreaker(state: BreakerState, event: BreakerInput): BreakerState {
  switch (event.input) {
    case 'succeeded':
      return state.name === 'open' ? state : { name: 'closed', failures: 0 };
    case 'failed':
      if (state.name === 'open') return state;
      if (state.name === 'closed' && state.failures === 0) return { name: 'closed', failures: 1 };
      return { name: 'open', until_ms: event.now_ms + event.pause_ms };
    case 'time':
      if (state.name === 'open' && event.now_ms >= state.until_ms) return { name: 'probing' };
      return state;
    default:
      return event satisfies never;
  }
}

export interface Breaker {
  readonly state: BreakerState['name'];
  /** Milliseconds until a probe is due; 0 when posts may go. */
  wait_ms(now_ms: number): number;
  succeeded(): void;
  failed(now_ms: number): void;
}

export function createBreaker(random: () => number, pauses: BackoffLimits): Breaker {
  let state: BreakerState = { name: 'closed', failures: 0 };
  let schedule = backoff(random, pauses);
  return {
    get state() {
      return state.name;
    },
    wait_ms(now_ms) {
      state = stepBreaker(state, { input: 'time', now_ms });
      return state.name === 'open' ? state.until_ms - now_ms : 0;
    },
    succeeded() {
      state = stepBreaker(state, { input: 'succeeded' });
      if (state.name === 'closed') schedule = backoff(random, pauses);
    },
    failed(now_ms) {
      const before = state.name;
      const next = stepBreaker(state, { input: 'failed', now_ms, pause_ms: 0 });
      state =
        next.name === 'open' && before !== 'open'
          ? stepBreaker(state, { input: 'failed', now_ms, pause_ms: schedule.next().value })
          : next;
    },
  };
}
