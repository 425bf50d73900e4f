/** May this command be executed, here and now? A late, repeated or undatable one is not. */
import type { Order } from '@waystation/protocol/commands';
import { CLOCK_QUALITIES, type ClockQuality } from '@waystation/protocol/records';
import type { EpochMs } from '@waystation/runtime/clock';

/** No order may reach further ahead: it bounds how long its id has to be remembered. */
export const DEADLINE_AHEAD_MAX_MS = 24 * 3_600_000;

/** What the journal of executed orders knows. */
export interface CommandHistory {
  knowsId(id: string): boolean;
  knowsNonce(nonce: string): boolean;
  /** No room to remember one more: then nothing may be executed, since it could be executed twice. */
  full(): boolean;
}

export type CommandVerdict =
  | { verdict: 'execute' }
  /** Seen before: nothing is done and nothing said again. */
  | { verdict: 'ignore' }
  | { verdict: 'expired' }
  | { verdict: 'failed'; reason: string };

/** Shape and signature of the way here are checked already; this is about time and repetition. */
export function decideCommand(
  order: Order,
  history: CommandHistory,
  now: { wall: EpochMs; clock: ClockQuality },
): CommandVerdict {
  if (history.knowsId(order.id)) return { verdict: 'ignore' };
  if (history.knowsNonce(order.nonce)) return { verdict: 'failed', reason: 'nonce used before' };
  // The qualities are listed from best to worst.
  if (CLOCK_QUALITIES.indexOf(now.clock) > CLOCK_QUALITIES.indexOf(order.min_clock)) {
    return {
      verdict: 'failed',
      reason: `station clock is ${now.clock}, ${order.min_clock} is required`,
    };
  }
  if (now.wall > order.deadline_at) return { verdict: 'expired' };
  if (order.deadline_at - now.wall > DEADLINE_AHEAD_MAX_MS) {
    return { verdict: 'failed', reason: 'deadline_at is more than a day ahead' };
  }
  if (history.full()) return { verdict: 'failed', reason: 'journal of commands is full' };
  return { verdict: 'execute' };
}
