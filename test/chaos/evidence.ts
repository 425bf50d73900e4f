/** What the stations' files and the two stores hold, read with statements of the audit's own. */
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { z } from 'zod';
import type { StreamName } from './wiretap.ts';

/** How far one stream of one station reaches, by the station's own file. */
export interface Produced {
  station: string;
  stream: StreamName;
  epoch: string;
  head: number;
  acked: number;
}

const Cursor = z.object({
  station: z.string(),
  stream: z.enum(['event', 'sample']),
  epoch: z.string(),
  through: z.coerce.number(),
  last_hash: z.string().nullable(),
});
export type Cursor = z.output<typeof Cursor>;

const StoredEvent = z.object({
  station: z.string(),
  epoch: z.string(),
  seq: z.coerce.number(),
  body: z.unknown(),
});
export type StoredEvent = z.output<typeof StoredEvent>;

const Gap = z.object({
  station: z.string(),
  epoch: z.string(),
  seq: z.coerce.number(),
  span: z.coerce.number(),
});
export type Gap = z.output<typeof Gap>;

const Letter = z.object({
  station: z.string().nullable(),
  epoch: z.string().nullable(),
  seq: z.coerce.number().nullable(),
  reason: z.string(),
});
export type Letter = z.output<typeof Letter>;

const Suspicion = z.object({ station: z.string(), epoch: z.string(), kind: z.string() });
export type Suspicion = z.output<typeof Suspicion>;

export interface Stored {
  cursors: Cursor[];
  events: StoredEvent[];
  gaps: Gap[];
  letters: Letter[];
  suspicions: Suspicion[];
}

/** Station → time of the point (ms) → its values. */
export type Points = Map<string, Map<number, Record<string, number>>>;

/** outbox-file: a record's key is the stream's id times 2^36 plus its number. */
const SEQ_LIMIT = 2 ** 36;

const ProducedRow = z.object({
  stream: z.enum(['event', 'sample']),
  epoch: z.string(),
  acked: z.number(),
  key: z.number().nullable(),
  span: z.number().nullable(),
});

/** Of a copy of the file of a station that does not run. */
export function readProduced(station: string, path: string): Produced[] {
  const db = new DatabaseSync(path);
  try {
    const rows = db
      .prepare(
        `SELECT stream, epoch, acked, (SELECT max(key) FROM record WHERE key / ${SEQ_LIMIT} = stream.id) AS key,
           (SELECT span FROM record WHERE key / ${SEQ_LIMIT} = stream.id ORDER BY key DESC LIMIT 1) AS span
         FROM stream WHERE station = ?`,
      )
      .all(station);
    return rows.map((raw) => {
      const { stream, epoch, acked, key, span } = ProducedRow.parse(raw);
      const head = key === null ? acked : (key % SEQ_LIMIT) + (span ?? 1) - 1;
      return { station, stream, epoch, acked, head: Math.max(head, acked) };
    });
  } finally {
    db.close();
  }
}

const CURSORS = `
  select station.code as station, stream, epoch, through, last_hash
  from stream_cursor join station on station.id = station_id order by 1, 2, 3`;
const EVENTS = `
  select station.code as station, stream_cursor.epoch, event.seq, event.body
  from event join station on station.id = event.station_id
  left join stream_cursor on stream_cursor.station_id = event.station_id and stream_cursor.stream = 'event'
    and stream_cursor.generation = event.generation
  order by 1, 2, 3`;
const GAPS = `
  select station.code as station, epoch, seq, span
  from stream_fault join station on station.id = station_id where stream_fault.kind = 'gap' order by 1, 2, 3`;
const LETTERS = `
  select station.code as station, epoch, seq, reason
  from dead_letter left join station on station.id = station_id order by dead_letter.id`;
const SUSPICIONS = `
  select station.code as station, epoch, stream_fault.kind
  from stream_fault join station on station.id = station_id where stream_fault.kind <> 'gap' order by 1, 2`;
const PREFIXES = `
  select station.code as station, generation, count(*) as events, max(seq) as last_seq
  from event join station on station.id = station_id group by 1, 2`;
const HELD = `
  select (select coalesce(sum(count), 0) from telemetry_backlog) as points`;

export type Query = (text: string) => Promise<unknown[]>;

export async function readStored(query: Query): Promise<Stored> {
  return {
    cursors: z.array(Cursor).parse(await query(CURSORS)),
    events: z.array(StoredEvent).parse(await query(EVENTS)),
    gaps: z.array(Gap).parse(await query(GAPS)),
    letters: z.array(Letter).parse(await query(LETTERS)),
    suspicions: z.array(Suspicion).parse(await query(SUSPICIONS)),
  };
}

export async function readCursors(query: Query): Promise<Cursor[]> {
  return z.array(Cursor).parse(await query(CURSORS));
}

const Prefix = z.object({
  station: z.string(),
  generation: z.coerce.number(),
  events: z.coerce.number(),
  last_seq: z.coerce.number(),
});
export type Prefix = z.output<typeof Prefix>;

/** How the event table stands at this moment. */
export async function readPrefixes(query: Query): Promise<Prefix[]> {
  return z.array(Prefix).parse(await query(PREFIXES));
}

/** Points that still wait for InfluxDB. */
export async function readBacklog(query: Query): Promise<number> {
  return z.array(z.object({ points: z.coerce.number() })).parse(await query(HELD))[0]?.points ?? 0;
}

const QUERY_TIMEOUT_MS = 20_000;

/** A connection for one errand. Rejects with what the driver says. */
export async function withDatabase<T>(url: string, work: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  client.on('error', () => {}); // the errand's own query reports it
  try {
    await client.connect();
    return await work(async (text) => (await client.query<Record<string, unknown>>(text)).rows);
  } finally {
    await client.end().catch(() => {});
  }
}

const Series = z.object({
  results: z.tuple([
    z.object({
      series: z
        .array(
          z.object({
            tags: z.object({ station: z.string() }),
            columns: z.array(z.string()),
            values: z.array(z.array(z.unknown())),
          }),
        )
        .default([]),
    }),
  ]),
});

/** `ask`: InfluxQL, times in ms. */
export async function readPoints(ask: (statement: string) => Promise<unknown>): Promise<Points> {
  const answer = Series.parse(await ask('SELECT * FROM "report" GROUP BY "station"'));
  const points: Points = new Map();
  for (const { tags, columns, values } of answer.results[0].series) {
    const held = points.get(tags.station) ?? new Map<number, Record<string, number>>();
    points.set(tags.station, held);
    for (const row of values) {
      const fields = columns.flatMap((name, at): [string, number][] => {
        const value = row[at];
        return typeof value === 'number' && name !== 'time' ? [[name, value]] : [];
      });
      held.set(Number(row[0]), Object.fromEntries(fields));
    }
  }
  return points;
}
