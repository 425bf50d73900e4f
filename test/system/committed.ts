/** What PostgreSQL and InfluxDB hold of the stations, counted by statements of its own, against what the stations wrote. */
import pg from 'pg';
import { z } from 'zod';
import type { TestInfluxd } from '../servers/influxd.ts';
import type { Head } from './local-stack.ts';

const Committed = z.object({
  station: z.string(),
  stream: z.enum(['event', 'sample']),
  epoch: z.string(),
  through: z.coerce.number(),
  last_hash: z.string().nullable(),
  events: z.coerce.number(),
  first_seq: z.coerce.number().nullable(),
  last_seq: z.coerce.number().nullable(),
  distinct_seqs: z.coerce.number(),
});
export type Committed = z.output<typeof Committed>;

const COMMITTED = `
  select station.code as station, cursor.stream, cursor.epoch, cursor.through, cursor.last_hash,
    count(event.seq) as events, min(event.seq) as first_seq, max(event.seq) as last_seq,
    count(distinct event.seq) as distinct_seqs
  from stream_cursor as cursor
  join station on station.id = cursor.station_id
  left join event on cursor.stream = 'event' and event.station_id = cursor.station_id
    and event.generation = cursor.generation
  group by 1, 2, 3, 4, 5
  order by 1, 2, 3`;

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

export async function readCommitted(url: string): Promise<Committed[]> {
  return z.array(Committed).parse(await query(url, COMMITTED));
}

/** Streams whose cloud side is not exactly what the station wrote, each with the reason; none when all is well. */
export function differences(heads: readonly Head[], committed: readonly Committed[]): string[] {
  return heads.flatMap(({ station, stream, epoch, head, head_hash }) => {
    const found = committed.find(
      (row) => row.station === station && row.stream === stream && row.epoch === epoch,
    );
    const where = `${station} ${stream} of ${head}`;
    if (found === undefined) return head === 0 ? [] : [`${where}: nothing committed`];
    if (found.through !== head) return [`${where}: committed through ${found.through}`];
    if (stream === 'sample') return [];
    const { events, distinct_seqs, first_seq, last_seq } = found;
    if (events !== head || distinct_seqs !== head || first_seq !== 1 || last_seq !== head)
      return [`${where}: ${events} rows, ${distinct_seqs} numbers, ${first_seq} to ${last_seq}`];
    return found.last_hash === head_hash ? [] : [`${where}: the chains end in different hashes`];
  });
}

const Points = z.object({
  results: z.tuple([
    z.object({
      series: z
        .array(
          z.object({
            tags: z.object({ station: z.string() }),
            values: z.array(z.array(z.unknown())),
          }),
        )
        .default([]),
    }),
  ]),
});

/** Distinct points in time of each station in InfluxDB. */
export async function countPoints(influxd: TestInfluxd): Promise<Map<string, number>> {
  const answer = Points.parse(await influxd.query('SELECT * FROM "report" GROUP BY "station"'));
  return new Map(
    answer.results[0].series.map(({ tags, values }) => [
      tags.station,
      new Set(values.map(([at]) => at)).size,
    ]),
  );
}
