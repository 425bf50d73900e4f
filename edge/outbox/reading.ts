/** Stored rows as uplink messages. What a flipped bit has changed is never sent: the chain is checked on the way out. */
import type { StationRecord } from '@waystation/protocol/records';
import type { Stream } from '@waystation/protocol/topics';
import { chainNext } from '@waystation/runtime/hash-chain';
import type { OutgoingRead } from '../ports.ts';
import { DamagedRow, type Lane, type OutboxFile, type Row } from './outbox-file.ts';

/** Of the file's rows only those are trusted that this outbox wrote: JSON it made, under a hash it made. */
export function parseBody(body: string): StationRecord {
  try {
    return JSON.parse(body) as StationRecord;
  } catch {
    throw new DamagedRow('a record is not JSON');
  }
}

/** The record as it stands for `from` to the row's end: after thinning a row may begin before what is asked for. */
function clipped(row: Row, from: number): StationRecord {
  const record = parseBody(row.body);
  const span = row.seq + row.span - Math.max(from, row.seq);
  return span === 1 && record.kind !== 'gap' ? record : ({ ...record, span } as StationRecord);
}

function offsetsFor(
  records: readonly StationRecord[],
  offsets: ReadonlyMap<string, number>,
): Record<string, number> | null {
  const wanted = new Set(
    records.filter((record) => record.clock === 'unknown').map((record) => record.boot),
  );
  const found = [...wanted].flatMap((boot) => {
    const offset_ms = offsets.get(boot);
    return offset_ms === undefined ? [] : [[boot, offset_ms] as const];
  });
  return found.length > 0 ? Object.fromEntries(found) : null;
}

/**
 * The records after `after` as one message; null when there are none. Throws DamagedRow.
 * `offsets`: wall minus mono of the boots whose clock was set later.
 */
export function readMessage(
  file: OutboxFile,
  stream: Stream,
  lane: Lane,
  after: number,
  limits: { records: number; bytes: number },
  offsets: ReadonlyMap<string, number>,
): OutgoingRead | null {
  const from = Math.max(after, lane.acked) + 1;
  if (from > lane.head) return null;
  const rows = file.rowsFrom(lane.id, from, limits.records);
  let hash = stream === 'event' ? file.hashAt(lane.id, from - 1) : null;
  const previous_hash = hash;
  if (stream === 'event' && hash === null)
    throw new DamagedRow('the hash before a record is missing');
  const records: StationRecord[] = [];
  let bytes = 0;
  let last = from - 1;
  for (const row of rows) {
    if (row.seq > last + 1 || row.seq + row.span - 1 <= last)
      throw new DamagedRow('a record is missing');
    bytes += Buffer.byteLength(row.body) + 20; // a comma, and a span where there was none
    if (bytes > limits.bytes && records.length > 0) break;
    if (hash !== null) {
      hash = chainNext(hash, row.body);
      if (hash !== row.hash) throw new DamagedRow('a record does not fit its hash');
    }
    records.push(clipped(row, from));
    last = row.seq + row.span - 1;
  }
  if (records.length === 0) throw new DamagedRow('records are missing');
  const known = offsetsFor(records, offsets);
  const message = {
    epoch: lane.epoch,
    first: from,
    ...(previous_hash === null ? {} : { previous_hash }),
    ...(known === null ? {} : { offsets: known }),
    records,
  };
  return { message, last };
}

/** Writes every record after `lane.acked` again under `to`, with new numbers and a new chain. Returns the new lane. */
export function rechain(file: OutboxFile, lane: Lane, to: Lane): Lane {
  let { head, head_hash } = to;
  let after = lane.acked;
  for (;;) {
    const rows = file.rowsFrom(lane.id, after + 1, 256);
    const [first, newest] = [rows[0], rows.at(-1)];
    if (!first || !newest) return { ...to, head, head_hash };
    for (const row of rows) {
      head += 1;
      head_hash = chainNext(head_hash, row.body);
      file.insert(to.id, { seq: head, span: 1, hash: head_hash, body: row.body });
    }
    after = newest.seq;
    file.delete(lane.id, first.seq, newest.seq);
  }
}
