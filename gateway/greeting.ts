/**
 * Who knocks is let in by turns. After an outage ten thousand stations knock in the same second: greeted all at once none
 * would be done before its time is up, and all of them would come again. The others wait unread; their time has not begun.
 */
import type { Clock, Timer } from '@waystation/runtime/clock';

export interface Greeting<G> {
  /** Greets the guest now or when a turn is free. Who waits is bounded by the limit on connections. */
  knock(guest: G): void;
  /** It is in, or gone: its turn is free. */
  done(guest: G): void;
  readonly waiting: number;
}

export interface GreetingOptions<G> {
  clock: Clock;
  /** Turns at a time. */
  at_once_max: number;
  /** A guest that takes longer goes on without a turn: those who say nothing must not keep the others out. */
  turn_ms: number;
  greet: (guest: G) => void;
}

export function createGreeting<G>(options: GreetingOptions<G>): Greeting<G> {
  const { clock, at_once_max, turn_ms, greet } = options;
  /** In the order in which they knocked. */
  const waiting = new Set<G>();
  const turns = new Map<G, Timer>();

  function fill(): void {
    for (const guest of waiting) {
      if (turns.size >= at_once_max) return;
      waiting.delete(guest);
      turns.set(
        guest,
        clock.after(turn_ms, () => free(guest)),
      );
      greet(guest);
    }
  }
  function free(guest: G): void {
    turns.get(guest)?.stop();
    if (turns.delete(guest)) fill();
  }

  return {
    knock(guest) {
      waiting.add(guest);
      fill();
    },
    done(guest) {
      waiting.delete(guest);
      free(guest);
    },
    get waiting() {
      return waiting.size;
    },
  };
}
