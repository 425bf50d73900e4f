/** The durable queue of points that wait for the store: written by ingest's transaction, emptied oldest first. */
import type pg from 'pg';
import { z } from 'zod';
import { MEASUREMENT_NAMES } from '@waystation/protocol/registers';
import { StationCodeSchema } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import type { RejectedPoint, TelemetryPoint, TelemetryStore } from './store.ts';

/** Rows of one replay; a row holds the points of one ingest batch. */
const REPLAY_ROWS_MAX = 40;
const DEAD_LETTER_PAYLOAD_MAX = 4_000;

const Points = z.array(
  z.strictObject({
    station: StationCodeSchema,
    station_id: z.int(),
    organisation_id: z.int(),
    at: z.int(),
    values: z.partialRecord(z.enum(MEASUREMENT_NAMES), z.number()),
  }),
);

export async function countBacklog(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    'select coalesce(sum(count), 0)::float8 as count from telemetry_backlog',
  );
  return rows[0]?.count ?? 0;
}

/**
 * Writes the oldest rows to the store, then deletes them; a crash between the two writes the same points again.
 * Returns how many points left the backlog; 0 when it is empty.
 * Rejects with Fault TELEMETRY_UNAVAILABLE, or with the database's own error.
 */
export async function replayOldest(
  pool: pg.Pool,
  store: TelemetryStore,
  clock: Clock,
): Promise<number> {
  const { rows } = await pool.query<{ id: string; count: number; points: string }>(
    `select id, count, points from telemetry_backlog order by id limit ${REPLAY_ROWS_MAX}`,
  );
  if (rows.length === 0) return 0;
  const batches = rows.map((row) => ({ row, points: Points.safeParse(JSON.parse(row.points)) }));
  const points = batches.flatMap((batch) => batch.points.data ?? []) as TelemetryPoint[];
  const rejected = await store.write(points);
  const letters = [
    ...rejected.map(rejectedLetter),
    ...batches
      .filter((batch) => !batch.points.success)
      .map((batch) => ({ reason: 'backlog row cannot be read', payload: batch.row.points })),
  ];
  await settle(
    pool,
    rows.map((row) => row.id),
    letters,
    clock,
  );
  return rows.reduce((sum, row) => sum + row.count, 0);
}

function rejectedLetter({ point, reason }: RejectedPoint) {
  return {
    reason: `telemetry: ${reason}`,
    payload: JSON.stringify(point),
    station_id: point.station_id,
  };
}

async function settle(
  pool: pg.Pool,
  ids: readonly string[],
  letters: readonly { reason: string; payload: string; station_id?: number }[],
  clock: Clock,
): Promise<void> {
  const rows = letters.map((letter) => ({
    ...letter,
    payload: letter.payload.slice(0, DEAD_LETTER_PAYLOAD_MAX),
  }));
  await pool.query(
    `with gone as (delete from telemetry_backlog where id = any($1::int8[]))
     insert into dead_letter (station_id, topic, reason, payload, received_at)
     select r.station_id, 'telemetry', r.reason, r.payload, $3
     from jsonb_to_recordset($2::jsonb) as r(station_id int, reason text, payload text)`,
    [ids, JSON.stringify(rows), new Date(clock.wall())],
  );
}
