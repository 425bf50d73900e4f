/**
 * The durable memory of orders: an id is on the disk before its order is executed, so none is executed twice,
 * and an order that a crash cut short is told as failed at the next start.
 */
import type { Order } from '@waystation/protocol/commands';
import { epochMs } from '@waystation/runtime/clock';
import { z } from 'zod';
import type { DurableTable } from '../outbox/durable-table.ts';
import { type CommandHistory, DEADLINE_AHEAD_MAX_MS } from './command.ts';

export const JOURNAL_ROWS_MAX = 1_000;

const Row = z.strictObject({
  nonce: z.string(),
  deadline_at: z.int(),
  /** null while it is being executed. */
  result: z.enum(['succeeded', 'failed']).nullable(),
});
type Row = z.output<typeof Row>;

/** What bad flash has made of a row: its id is still known, so its order is never executed again. */
const UNREADABLE: Row = { nonce: '', deadline_at: 0, result: 'failed' };

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface CommandJournal extends CommandHistory {
  /** Durable with the next event. */
  begin(order: Order): void;
  finish(id: string, result: 'succeeded' | 'failed'): void;
  /** Orders begun and never finished: their execution was cut short. */
  unfinished(): string[];
}

/** `table` must hold more than JOURNAL_ROWS_MAX rows. Rows leave by their expiry, never for want of room. */
export function createCommandJournal(table: DurableTable): CommandJournal {
  const parse = (text: string): Row => {
    const row = Row.safeParse(parseJson(text));
    return row.success ? row.data : UNREADABLE;
  };
  // A day more than the longest deadline: a clock set back within it brings no order back to life.
  const put = (id: string, row: Row) =>
    table.put(id, JSON.stringify(row), epochMs(row.deadline_at + DEADLINE_AHEAD_MAX_MS));
  return {
    knowsId: (id) => table.get(id) !== null,
    knowsNonce: (nonce) => table.entries().some(([, text]) => parse(text).nonce === nonce),
    full: () => table.entries().length >= JOURNAL_ROWS_MAX,
    begin: ({ id, nonce, deadline_at }) => put(id, { nonce, deadline_at, result: null }),
    finish(id, result) {
      const text = table.get(id);
      const row = text === null ? null : parse(text);
      if (row !== null && row !== UNREADABLE) put(id, { ...row, result });
    },
    unfinished: () =>
      table.entries().flatMap(([id, text]) => (parse(text).result === null ? [id] : [])),
  };
}
