/** Telemetry in the relational database itself: the embedded default. Same identity and merging as InfluxDB. */
import type pg from 'pg';
import { MEASUREMENT_NAMES } from '@waystation/protocol/registers';
import { Fault } from '@waystation/runtime/fault';
import {
  type SeriesPoint,
  type SeriesQuery,
  seriesSpanMs,
  type TelemetryPoint,
  type TelemetryStore,
} from './store.ts';

const COLUMNS = MEASUREMENT_NAMES.join(', ');
const TYPED = MEASUREMENT_NAMES.map((name) => `${name} float8`).join(', ');
const MERGED = MEASUREMENT_NAMES.map(
  (name) => `${name} = coalesce(excluded.${name}, t.${name})`,
).join(', ');

/** In key order, so that two writers never wait for each other in a circle. */
const WRITE = `insert into telemetry as t (station_id, at, organisation_id, ${COLUMNS})
  select r.station_id, to_timestamp(r.at / 1000.0), r.organisation_id, ${COLUMNS}
  from jsonb_to_recordset($1::jsonb) as r(station_id int, at int8, organisation_id int, ${TYPED})
  order by 1, 2
  on conflict (station_id, at) do update set ${MERGED}`;

export function createSqlTelemetry(pool: pg.Pool): TelemetryStore {
  return {
    kind: 'sql',
    async write(points) {
      const rows = mergeTwins(points);
      if (rows.length === 0) return [];
      await pool
        .query({ name: 'telemetry-write', text: WRITE, values: [JSON.stringify(rows)] })
        .catch(unavailable);
      return [];
    },
    series: (query) => readSeries(pool, query).catch(unavailable),
    close: async () => {},
  };
}

/** One statement must not meet a key twice: points of the same station and moment become one row. */
function mergeTwins(points: readonly TelemetryPoint[]): object[] {
  const rows = new Map<string, object>();
  for (const { station_id, organisation_id, at, values } of points) {
    if (Object.keys(values).length === 0) continue;
    const key = `${station_id} ${at}`;
    rows.set(key, { ...rows.get(key), station_id, organisation_id, at, ...values });
  }
  return [...rows.values()];
}

async function readSeries(pool: pg.Pool, query: SeriesQuery): Promise<SeriesPoint[]> {
  const span_ms = seriesSpanMs(query);
  const column = query.measurement; // one of a closed list: a column's name
  const window = `from telemetry where station_id = $1 and at >= to_timestamp($2 / 1000.0)
    and at < to_timestamp($3 / 1000.0) and ${column} is not null`;
  const key = [query.station_id, Math.floor(query.from), Math.floor(query.to)];
  const at_ms = 'extract(epoch from at) * 1000';
  const { rows } =
    span_ms === null
      ? await pool.query<{ at: number; value: number }>(
          `select (${at_ms})::float8 as at, ${column} as value ${window} order by at desc limit $4`,
          [...key, Math.floor(query.points_max)],
        )
      : await pool.query<{ at: number; value: number }>(
          `select floor(${at_ms} / $4) * $4::float8 as at, avg(${column}) as value ${window} group by 1 order by 1 desc`,
          [...key, span_ms],
        );
  return rows.map(({ at, value }): SeriesPoint => [Math.round(at), value]).toReversed();
}

function unavailable(cause: unknown): never {
  const problem = cause instanceof Error ? cause.message : String(cause);
  throw new Fault('TELEMETRY_UNAVAILABLE', { problem: problem.slice(0, 300) }, cause);
}
