/** Time as two kinds that never mix: wall time stamps records, monotonic time measures deadlines. */
import assert from 'node:assert/strict';
import type { Brand } from '@waystation/protocol/brand';

/** Milliseconds since 1970-01-01T00:00:00Z. May step. Only for stamping and for signed validity windows. */
export type EpochMs = Brand<number, 'EpochMs'>;
/** Milliseconds since an arbitrary origin, never steps. For every timeout, debounce and deadline. */
export type MonoMs = Brand<number, 'MonoMs'>;

/** A timer that can be stopped; stopping twice, or after it fired, does nothing. */
export interface Timer {
  stop(): void;
}

export interface Clock {
  wall(): EpochMs;
  mono(): MonoMs;
  /** Calls `wake` once after `delay_ms`. */
  after(delay_ms: number, wake: () => void): Timer;
  /** Calls `tick` every `period_ms` until stopped. */
  every(period_ms: number, tick: () => void): Timer;
  /** Resolves after `delay_ms`, or at once when `signal` aborts: look at `signal.aborted` after it. */
  sleep(delay_ms: number, signal?: AbortSignal): Promise<void>;
}

export function epochMs(value: number): EpochMs {
  return value as EpochMs;
}

export function monoMs(value: number): MonoMs {
  return value as MonoMs;
}

function sleepOn(
  clock: Pick<Clock, 'after'>,
  delay_ms: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      timer.stop();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delay_ms, done);
    signal?.addEventListener('abort', done);
  });
}

/** A longer delay overflows 32 bits, and Node then fires after 1 ms: a station that counts on 25 days would spin. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

function longTimeout(delay_ms: number, wake: () => void): Timer {
  let handle: NodeJS.Timeout;
  const wait = (left_ms: number) => {
    const leg_ms = Math.min(left_ms, TIMEOUT_MS_MAX);
    handle = setTimeout(() => (left_ms > leg_ms ? wait(left_ms - leg_ms) : wake()), leg_ms);
  };
  wait(delay_ms);
  return { stop: () => clearTimeout(handle) };
}

export function systemClock(): Clock {
  const clock: Clock = {
    wall: () => epochMs(Date.now()),
    mono: () => monoMs(performance.now()),
    after: longTimeout,
    every(period_ms, tick) {
      assert(period_ms <= TIMEOUT_MS_MAX, `a period of ${period_ms} ms is too long`);
      const handle = setInterval(tick, period_ms);
      return { stop: () => clearInterval(handle) };
    },
    sleep: (delay_ms, signal) => sleepOn(clock, delay_ms, signal),
  };
  return clock;
}

export interface FakeClock extends Clock {
  /** Moves both clocks forward, firing timers in order and letting promises settle between them. */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock only, as NTP or a dead battery would. */
  stepWall(ms: number): void;
}

/** A clock for tests and simulations: time passes only when told to. */
export function fakeClock(start: EpochMs = epochMs(1_780_000_000_000)): FakeClock {
  let elapsed_ms = 0;
  let skew_ms = 0;
  let order = 0;
  const due: { at: number; order: number; wake: () => void }[] = [];
  const at = (delay_ms: number, wake: () => void) => {
    const entry = { at: elapsed_ms + Math.max(0, delay_ms), order: order++, wake };
    due.push(entry);
    return entry;
  };
  const remove = (entry: (typeof due)[number]) => {
    const index = due.indexOf(entry);
    if (index >= 0) due.splice(index, 1);
  };
  const clock: FakeClock = {
    wall: () => epochMs(start + elapsed_ms + skew_ms),
    mono: () => monoMs(elapsed_ms),
    after(delay_ms, wake) {
      const entry = at(delay_ms, wake);
      return { stop: () => remove(entry) };
    },
    every(period_ms, tick) {
      let entry = at(period_ms, function again() {
        entry = at(period_ms, again);
        tick();
      });
      return { stop: () => remove(entry) };
    },
    sleep: (delay_ms, signal) => sleepOn(clock, delay_ms, signal),
    stepWall: (ms) => {
      skew_ms += ms;
    },
    async advance(ms) {
      const end = elapsed_ms + ms;
      for (;;) {
        await new Promise(setImmediate);
        const next = due
          .filter((d) => d.at <= end)
          .sort((a, b) => a.at - b.at || a.order - b.order)[0];
        if (!next) break;
        remove(next);
        elapsed_ms = next.at;
        next.wake();
      }
      elapsed_ms = end;
      await new Promise(setImmediate);
    },
  };
  return clock;
}
