/** One ingest transaction: cursors locked in key order, everything written, cursors moved, committed. */
import assert from 'node:assert/strict';
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
      const committed = await writeBatch(client, request);
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

/** Two round trips: begin and lock, then everything else. The connection sends without waiting for each answer. */
async function writeBatch(client: pg.PoolClient, request: CommitRequest): Promise<Committed> {
  const { stream, messages, telemetry } = request;
  const received = new Date(request.received_at);
  const run = runner(client);
  const [, cursors] = await Promise.all([
    client.query('begin'),
    lockCursors(client, stream, messages),
  ]);
  const plan = planBatch(stream, messages, cursors, telemetry);
  if (plan.unproven.length > 0) await proveKnown(client, plan);
  const { fresh, moved } = cursorRows(plan, cursors);
  await beginEpochs(run, stream, fresh, received);
  const backlog = request.to_backlog && plan.points.length > 0 ? JSON.stringify(plan.points) : null;
  const [answered, committed] = await Promise.all([
    run('answer-commands', statements.ANSWER_COMMANDS, json(plan.answers)),
    run('update-cursors', statements.UPDATE_CURSORS, jsonList(moved), [stream, received]),
    run('insert-events', statements.INSERT_EVENTS, jsonRows(plan.event_rows), [received]),
    run('apply-events', statements.APPLY_EVENTS, json(plan.event_patches)),
    run('apply-reports', statements.APPLY_REPORTS, json(plan.sample_patches)),
    run('count-usage', statements.COUNT_USAGE, json(plan.usage)),
    run('raise-faults', statements.RAISE_FAULTS, jsonUnique(plan.faults), [stream, received]),
    run('dead-letters', statements.WRITE_DEAD_LETTERS, jsonList(plan.letters), [received]),
    run('append-backlog', statements.APPEND_BACKLOG, backlog, [plan.points.length, received]),
    client.query('commit'),
  ]).then((results) => [results[0], results[results.length - 1]] as const);
  // A failed statement rejects above; COMMIT itself only says ROLLBACK then.
  assert.equal(committed?.command, 'COMMIT');
  const station_ids = new Set([...plan.event_patches.keys(), ...plan.sample_patches.keys()]);
  const command_ids = (answered?.rows ?? []).map(({ id }) => id);
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

interface CursorRowOut {
  s: number;
  e: string;
  g: number;
  t: number;
  h: string | null;
}

function cursorRows(plan: Plan, before: ReadonlyMap<number, StreamCursor>) {
  const fresh: CursorRowOut[] = [];
  const moved: CursorRowOut[] = [];
  for (const { message, advanced } of plan.epochs.values()) {
    const s = message.entry.id;
    const cursor = plan.cursors.get(s);
    const after = cursor && epochOf(cursor, message.epoch);
    if (!advanced || after === undefined) continue;
    const old = before.get(s);
    const known = old !== undefined && epochOf(old, message.epoch) !== undefined;
    const { epoch: e, generation: g, through: t, last_hash: h } = after;
    (known ? moved : fresh).push({ s, e, g, t, h });
  }
  return { fresh, moved };
}

async function beginEpochs(
  run: Run,
  stream: Stream,
  fresh: readonly CursorRowOut[],
  received: Date,
): Promise<void> {
  const made = await run('insert-cursors', statements.INSERT_CURSORS, jsonList(fresh), [
    stream,
    received,
  ]);
  if (made !== null && made.rowCount !== fresh.length)
    throw new CursorRace('another process began this epoch');
}
