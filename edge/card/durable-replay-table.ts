/** The replay memory beside the outbox: durable with the access event that follows it, which is on the disk before the door moves. */
import { epochMs } from '@waystation/runtime/clock';
import type { DurableTable } from '../outbox/durable-table.ts';
import { REPLAY_MEMORY_MS, type ReplayTable } from './replay-guard.ts';

/** `table` must hold as many rows as the guard remembers cards. */
export function durableReplayTable(table: DurableTable): ReplayTable {
  return {
    *all() {
      for (const [card, text] of table.entries()) {
        const [sequence, used_at] = text.split(' ').map(Number);
        if (sequence === undefined || used_at === undefined) continue;
        yield { card: Number(card), sequence, used_at: epochMs(used_at) };
      }
    },
    replace(use, forget) {
      for (const card of forget) table.delete(String(card));
      const expires_at = epochMs(use.used_at + REPLAY_MEMORY_MS);
      table.put(String(use.card), `${use.sequence} ${use.used_at}`, expires_at);
    },
  };
}
