/** The audit log: privileged acts as a chain of hashes, so that a rewritten or removed line shows. */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { EpochMs } from '@waystation/runtime/clock';
import { chainNext, chainStart, type ChainHash } from '@waystation/runtime/hash-chain';
import type { Schema } from '../database/schema.ts';

export interface AuditEntry {
  at: EpochMs;
  /** The account. */
  actor: string;
  /** What was done: `command.open`, `card.revoke`, … */
  action: string;
  /** To what: a station code, a card index. */
  subject: string;
  detail: Record<string, string | number | boolean>;
}

/** Any number will do, as long as it is ours alone: one writer of the chain at a time. */
const CHAIN_LOCK = 0x57_41_59_01;

/** jsonb forgets the order of keys, so the hashed text has its own. */
function chainText(entry: Omit<AuditEntry, 'at'> & { at: number }): string {
  const { at, actor, action, subject, detail } = entry;
  const sorted = Object.fromEntries(Object.entries(detail).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify([at, actor, action, subject, sorted]);
}

function startOfChain(): ChainHash {
  return chainStart('cloud', 'audit');
}

/** Appends in the transaction of the act itself: no act without its line, no line without its act. */
export async function appendAudit(trx: Transaction<Schema>, entry: AuditEntry): Promise<void> {
  await sql`select pg_advisory_xact_lock(${CHAIN_LOCK})`.execute(trx);
  const last = await trx
    .selectFrom('audit_log')
    .select('hash')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  const previous_hash = last?.hash ?? startOfChain();
  await trx
    .insertInto('audit_log')
    .values({
      ...entry,
      at: new Date(entry.at),
      detail: JSON.stringify(entry.detail),
      previous_hash,
      hash: chainNext(previous_hash, chainText(entry)),
    })
    .execute();
}

const PAGE_ROWS = 1000;

/** Walks the whole chain. The id of the first line that does not continue it, or `null`. */
export async function findAuditBreak(db: Kysely<Schema>): Promise<string | null> {
  let hash = startOfChain();
  let after = '0';
  for (;;) {
    const rows = await db
      .selectFrom('audit_log')
      .selectAll()
      .where('id', '>', sql<string>`${after}::bigint`)
      .orderBy('id')
      .limit(PAGE_ROWS)
      .execute();
    for (const { id, at, detail, ...row } of rows) {
      const entry = { ...row, at: at.getTime(), detail: detail as AuditEntry['detail'] };
      if (row.previous_hash !== hash || chainNext(hash, chainText(entry)) !== row.hash) return id;
      hash = row.hash;
      after = id;
    }
    if (rows.length < PAGE_ROWS) return null;
  }
}
