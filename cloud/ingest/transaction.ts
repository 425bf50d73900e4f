/** One ingest transaction: cursors locked in key order, everything written, cursors moved, committed. */
import type pg from 'pg';
import type { Stream } from '@waystation/protocol/topics';
import type { CommittedBatch, StationMessage } from './batch.ts';
import { epochOf, type StreamCursor } from './cursor.ts';
import { planBatch, type Plan, raiseFork, type TelemetryFate } from './plan.ts';
import * as statements from './statements.ts';

/** Another process wrote between our look and our write; the whole transaction is tried again. */
class CursorRace extends Error {}

export interface CommitRequest {
  stream: Stream;
  messages: readonly StationMessage[];
  telemetry: TelemetryFate;
  /** The points of what is accepted go to the backlog: the store did not take them. */
  to_backlog: boolean;
  received_at: number;
}

export interface Committed {
  plan: Plan;
  batch: CommittedBatch;
}

const ATTEMPTS_MAX = 5;

/** Rejects with the database's own error; nothing is committed then (or, if the connection broke at COMMIT, all of it). */
export async function commitBatch(pool: pg.Pool, request: CommitRequest): Promise<Committed> {
  for (let attempt = 1; ; attempt += 1) {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const committed = await writeBatch(client, request);
      await client.query('commit');
      client.release();
      return committed;
    } catch (error) {
      await rollback(client);
      if (attempt === ATTEMPTS_MAX || !isRace(error)) throw error;
    }
  }
}

async function rollback(client: pg.PoolClient): Promise<void> {
  try {
    await client.query('rollback');
    client.release();
  } catch (error) {
    client.release(error instanceof Error ? error : true); // the connection is broken: not to be used again
  }
}

/** unique_violation, serialization_failure, deadlock_detected (PostgreSQL manual, appendix A). */
function isRace(error: unknown): boolean {
  if (error instanceof CursorRace) return true;
  const code = sqlState(error);
  return code === '23505' || code === '40001' || code === '40P01';
}

export function sqlState(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : null;
}

async function writeBatch(client: pg.PoolClient, request: CommitRequest): Promise<Committed> {
  const { stream, messages, telemetry } = request;
  const received = new Date(request.received_at);
  const run = runner(client);
  const cursors = await lockCursors(client, stream, messages);
  const plan = planBatch(stream, messages, cursors, telemetry);
  if (plan.unproven.length > 0) await proveKnown(client, plan);
  await moveCursors(run, plan, cursors, received);
  await run('insert-events', statements.INSERT_EVENTS, jsonRows(plan.event_rows), [received]);
  await run('apply-events', statements.APPLY_EVENTS, json(plan.event_patches));
  await run('apply-reports', statements.APPLY_REPORTS, json(plan.sample_patches));
  await run('count-usage', statements.COUNT_USAGE, json(plan.usage));
  const answered = await run('answer-commands', statements.ANSWER_COMMANDS, json(plan.answers));
  await run('raise-faults', statements.RAISE_FAULTS, jsonUnique(plan.faults), [stream, received]);
  await run('dead-letters', statements.WRITE_DEAD_LETTERS, jsonList(plan.letters), [received]);
  if (request.to_backlog && plan.points.length > 0) {
    await client.query({
      name: 'append-backlog',
      text: statements.APPEND_BACKLOG,
      values: [received, plan.points.length, JSON.stringify(plan.points)],
    });
  }
  const station_ids = new Set([...plan.event_patches.keys(), ...plan.sample_patches.keys()]);
  const command_ids = (answered?.rows ?? []).map((row: { id: string }) => row.id);
  return {
    plan,
    batch: { stream, events: plan.events, station_ids: [...station_ids], command_ids },
  };
}

type Run = (
  name: string,
  text: string,
  rows: string | null,
  more?: unknown[],
) => Promise<pg.QueryResult<{ id: string }> | null>;

/** Runs a batch statement by a prepared name, or not at all when there are no rows. */
function runner(client: pg.PoolClient): Run {
  return async (name, text, rows, more = []) =>
    rows === null ? null : client.query<{ id: string }>({ name, text, values: [rows, ...more] });
}

function jsonRows(rows: readonly string[]): string | null {
  return rows.length === 0 ? null : `[${rows.join(',')}]`;
}
function jsonList(rows: readonly object[]): string | null {
  return rows.length === 0 ? null : JSON.stringify(rows);
}
function json(rows: ReadonlyMap<unknown, object>): string | null {
  return jsonList([...rows.values()]);
}
/** One statement must not meet a key twice. */
function jsonUnique(faults: Plan['faults']): string | null {
  return json(
    new Map(faults.map((row) => [`${row.station_id} ${row.epoch} ${row.kind} ${row.seq}`, row])),
  );
}

interface CursorRow {
  station_id: number;
  epoch: string;
  generation: number;
  through: number;
  last_hash: string | null;
}

async function lockCursors(
  client: pg.PoolClient,
  stream: Stream,
  messages: readonly StationMessage[],
): Promise<Map<number, StreamCursor>> {
  const codes = new Map(messages.map(({ entry }) => [entry.id, entry.code]));
  const { rows } = await client.query<CursorRow>({
    name: 'lock-cursors',
    text: statements.LOCK_CURSORS,
    values: [[...codes.keys()], stream],
  });
  const cursors = new Map<number, StreamCursor>();
  for (const { station_id, ...epoch } of rows) {
    const station = codes.get(station_id);
    if (station === undefined) continue;
    const epochs = cursors.get(station_id)?.epochs ?? [];
    cursors.set(station_id, { station, stream, epochs: [...epochs, epoch] });
  }
  return cursors;
}

/** A message the cursor calls old must say what is stored; else the station has another history. */
async function proveKnown(client: pg.PoolClient, plan: Plan): Promise<void> {
  const rows: string[] = [];
  for (const { message, generation } of plan.unproven) {
    message.records.forEach((record, index) => {
      if (record.record === null) return; // in the dead letters, not in the table
      rows.push(
        `{"s":${message.entry.id},"g":${generation},"q":${message.first + index},"r":${record.json}}`,
      );
    });
  }
  const { rows: different } = await client.query<{ station_id: number; seq: number }>({
    name: 'compare-events',
    text: statements.COMPARE_EVENTS,
    values: [`[${rows.join(',')}]`],
  });
  for (const { station_id, seq } of different) {
    const held = plan.unproven.find(
      ({ message }) =>
        message.entry.id === station_id &&
        seq >= message.first &&
        seq < message.first + message.records.length,
    );
    if (held) raiseFork(plan, held.message, { kind: 'fork', seq, detail: 'stored record differs' });
  }
}

async function moveCursors(
  run: Run,
  plan: Plan,
  before: ReadonlyMap<number, StreamCursor>,
  received: Date,
): Promise<void> {
  const fresh: object[] = [];
  const moved: object[] = [];
  for (const { message, advanced } of plan.epochs.values()) {
    const station_id = message.entry.id;
    const cursor = plan.cursors.get(station_id);
    const epoch = cursor && epochOf(cursor, message.epoch);
    if (!advanced || epoch === undefined) continue;
    const old = before.get(station_id);
    const known = old !== undefined && epochOf(old, message.epoch) !== undefined;
    const row = {
      s: station_id,
      e: epoch.epoch,
      g: epoch.generation,
      t: epoch.through,
      h: epoch.last_hash,
    };
    (known ? moved : fresh).push(row);
  }
  const made = await run('insert-cursors', statements.INSERT_CURSORS, jsonList(fresh), [
    plan.stream,
    received,
  ]);
  if (made !== null && made.rowCount !== fresh.length)
    throw new CursorRace('another process began this epoch');
  await run('update-cursors', statements.UPDATE_CURSORS, jsonList(moved), [plan.stream, received]);
}
