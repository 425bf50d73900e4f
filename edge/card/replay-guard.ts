/**
 * A code opens once: the signed sequence of a card must rise from one use to the next, also across restarts.
 * The memory is keyed by what was signed and never by the line or its signature, which have twins (ECDSA: r, n−s).
 */
import type { EpochMs } from '@waystation/runtime/clock';

export interface LastUse {
  card: number;
  sequence: number;
  used_at: EpochMs;
}

/** A small durable map, one row a card. */
export interface ReplayTable {
  all(): Iterable<LastUse>;
  /**
   * Stores `use` and removes the rows of `forget` as one write. It must be on the disk before the door moves: at once,
   * or with the access event that is written after it and before the relay.
   */
  replace(use: LastUse, forget: readonly number[]): void;
}

export interface ReplayGuard {
  /** Whether this sequence, or a later one, has been used within the memory. */
  isReplay(card: number, sequence: number, now: EpochMs): boolean;
  /** As durable as the table's `replace`. Throws what the table throws, and then remembers nothing. */
  remember(card: number, sequence: number, now: EpochMs): void;
  stats(): { cards: number; forgotten_early: number };
}

/** A code is good for 75 + 30 s, with the widest clock skew for 165 + 120 s: after that no replay passes the window. */
export const REPLAY_MEMORY_MS = 300_000;
const CARDS_MAX = 4096;

/**
 * When more than `cards_max` cards come within the memory, the one used longest ago is forgotten and counted:
 * a door must not stay shut because many have passed. At one person a second 300 are remembered.
 */
export function createReplayGuard(table: ReplayTable, cards_max = CARDS_MAX): ReplayGuard {
  // A Map keeps insertion order and every use is inserted anew: the first entry is the one used longest ago.
  const uses = new Map<number, LastUse>();
  for (const use of [...table.all()].sort((a, b) => a.used_at - b.used_at)) uses.set(use.card, use);
  let forgotten_early = 0;

  const isForgettable = (use: LastUse, now: EpochMs) => now - use.used_at > REPLAY_MEMORY_MS;

  return {
    isReplay(card, sequence, now) {
      const last = uses.get(card);
      return last !== undefined && sequence <= last.sequence && !isForgettable(last, now);
    },
    remember(card, sequence, now) {
      const use = { card, sequence, used_at: now };
      uses.delete(card);
      const forget: number[] = [];
      for (const known of uses.values()) {
        const forgettable = isForgettable(known, now);
        if (!forgettable && uses.size - forget.length < cards_max) continue;
        forget.push(known.card);
        if (!forgettable) forgotten_early += 1;
      }
      table.replace(use, forget);
      for (const known of forget) uses.delete(known);
      uses.set(card, use);
    },
    stats: () => ({ cards: uses.size, forgotten_early }),
  };
}

/** Remembers as long as the object lives: for tests and simulated stations. */
export function memoryReplayTable(): ReplayTable {
  const rows = new Map<number, LastUse>();
  return {
    all: () => rows.values(),
    replace(use, forget) {
      rows.set(use.card, use);
      for (const card of forget) rows.delete(card);
    },
  };
}
