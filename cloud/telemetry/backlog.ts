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
 * Writes the oldest rows to the store, then deletes them; a crash between the two, or another cloud at the same time,
 * writes the same points again. What could not be stored is noted by the one that deletes the row.
 * Returns how many points it read, 0 when the backlog is empty, and how many of them it was that removed.
 * Rejects with Fault TELEMETRY_UNAVAILABLE, or with the database's own error.
 */
export async function replayOldest(
  pool: pg.Pool,
  store: TelemetryStore,
  clock: Clock,
): Promise<{ read: number; removed: number }> {
  const { rows } = await pool.query<{ id: string; count: number; points: string }>(
    `select id, count, points from telemetry_backlog order by id limit ${REPLAY_ROWS_MAX}`,
  );
  if (rows.length === 0) return { read: 0, removed: 0 };
  const batches = rows.map((row) => ({ row, points: Points.safeParse(JSON.parse(row.points)) }));
  const points = batches.flatMap((batch) => batch.points.data ?? []) as TelemetryPoint[];
  const row_of = new Map(
    batches.flatMap(({ row, points }) =>
      (points.data ?? []).map((point): [string, string] => [pointKey(point), row.id]),
    ),
  );
  const rejected = await store.write(points);
  const letters = [
    ...rejected.map((one) => ({ ...rejectedLetter(one), row: row_of.get(pointKey(one.point)) })),
    ...batches
      .filter((batch) => !batch.points.success)
      .map(({ row }) => ({
        reason: 'backlog row cannot be read',
        payload: row.points,
        row: row.id,
      })),
  ];
  const ids = rows.map((row) => row.id);
  const removed = await settle(pool, ids, letters, clock);
  return { read: rows.reduce((sum, row) => sum + row.count, 0), removed };
}

function pointKey({ station_id, at }: { station_id: number; at: number }): string {
  return `${station_id} ${at}`;
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
  letters: readonly {
    reason: string;
    payload: string;
    station_id?: number;
    row: string | undefined;
  }[],
  clock: Clock,
): Promise<number> {
  const rows = letters.map((letter) => ({
    ...letter,
    payload: letter.payload.slice(0, DEAD_LETTER_PAYLOAD_MAX),
  }));
  const { rows: answer } = await pool.query<{ removed: number }>(
    `with gone as (delete from telemetry_backlog where id = any($1::int8[]) returning id, count),
     noted as (insert into dead_letter (station_id, topic, reason, payload, received_at)
       select r.station_id, 'telemetry', r.reason, r.payload, $3
       from jsonb_to_recordset($2::jsonb) as r(station_id int, reason text, payload text, "row" int8)
       join gone on gone.id = r."row")
     select coalesce(sum(count), 0)::float8 as removed from gone`,
    [ids, JSON.stringify(rows), new Date(clock.wall())],
  );
  return answer[0]?.removed ?? 0;
}
