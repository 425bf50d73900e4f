/**
 * Who knocks is let in by turns. After an outage ten thousand stations knock in the same second: greeted all at once none
 * would be done before its time is up, and all of them would come again. The others wait unread; their time has not begun.
 * The newest is greeted first: whoever has waited long is about to give up, and a greeting for nobody is work for nothing.
 */
import type { Clock, Timer } from '@waystation/runtime/clock';

export interface Greeting<G> {
  /** Greets the guest now or when a turn is free. Who waits is bounded by the limit on connections, and by `wait_ms`. */
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
  /** Whoever has waited this long has given up, or will: it is turned away. */
  wait_ms: number;
  greet: (guest: G) => void;
  turnAway: (guest: G) => void;
}

/** Places of those who went are swept when there are more of them than of those who wait. */
const SWEEP_FROM = 64;

export function createGreeting<G>(options: GreetingOptions<G>): Greeting<G> {
  const { clock, at_once_max, turn_ms, wait_ms, greet, turnAway } = options;
  const waiting = new Map<G, Timer>();
  /** In the order in which they knocked; some have gone. */
  let queue: G[] = [];
  const turns = new Map<G, Timer>();

  function leaveQueue(guest: G): boolean {
    waiting.get(guest)?.stop();
    const waited = waiting.delete(guest);
    if (queue.length > SWEEP_FROM && queue.length > 2 * waiting.size)
      queue = queue.filter((other) => waiting.has(other));
    return waited;
  }
  function fill(): void {
    while (turns.size < at_once_max && waiting.size > 0) {
      const guest = queue.pop();
      if (guest === undefined || !leaveQueue(guest)) continue;
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
      const tired = () => {
        if (leaveQueue(guest)) turnAway(guest);
      };
      waiting.set(guest, clock.after(wait_ms, tired));
      queue.push(guest);
      fill();
    },
    done(guest) {
      leaveQueue(guest);
      free(guest);
    },
    get waiting() {
      return waiting.size;
    },
  };
}
