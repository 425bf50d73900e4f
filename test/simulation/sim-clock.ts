/** Simulated time without waiting: timers fire in order, synchronously; only promises that are due settle in between. */
import { epochMs, monoMs, type Clock, type MonoMs } from '@waystation/runtime/clock';

interface Due {
  at: number;
  order: number;
  wake: () => void;
}

/** Far more than any run needs: a part that wakes itself without end must fail, not hang. */
const WAKES_MAX = 300_000;

export class SimClock {
  #now = 0;
  #order = 0;
  #due: Due[] = [];
  readonly #turns: number;

  /** `turns`: how long a chain of promises may be that settles before the next timer. */
  constructor(turns = 8) {
    this.#turns = turns;
  }

  get now(): MonoMs {
    return monoMs(this.#now);
  }

  /** A view for one life of a part: `alive` false, and its timers never fire again. */
  clockFor(alive: () => boolean): Clock {
    const clock: Clock = {
      wall: () => epochMs(1_780_000_000_000 + this.#now),
      mono: () => this.now,
      after: (delay_ms, wake) => this.after(delay_ms, () => alive() && wake()),
      every: () => {
        throw new Error('not simulated');
      },
      sleep: (delay_ms) => new Promise((resolve) => void clock.after(delay_ms, resolve)),
    };
    return clock;
  }

  after(delay_ms: number, wake: () => void): { stop(): void } {
    const entry = { at: this.#now + Math.max(0, delay_ms), order: this.#order++, wake };
    const index = this.#due.findLastIndex((due) => due.at <= entry.at);
    this.#due.splice(index + 1, 0, entry);
    return {
      stop: () => {
        const index = this.#due.indexOf(entry);
        if (index >= 0) this.#due.splice(index, 1);
      },
    };
  }

  /** Fires timers until `until()` holds or `end_ms` is reached; false at the end. */
  async run(end_ms: number, until: () => boolean = () => false): Promise<boolean> {
    for (let wakes = 0; !until(); wakes += 1) {
      if (wakes === WAKES_MAX) throw new Error(`time stands still at ${this.#now} ms`);
      const next = this.#due[0];
      if (!next || next.at > end_ms) {
        this.#now = end_ms;
        return until();
      }
      this.#due.shift();
      this.#now = next.at;
      next.wake();
      for (let turn = 0; turn < this.#turns; turn += 1) await Promise.resolve();
    }
    return true;
  }
}
