/** What InfluxDB holds, read by statements of its own. */
import { z } from 'zod';
import type { TestInfluxd } from '../../servers/influxd.ts';

const Answer = z.object({
  results: z.tuple([
    z.object({
      series: z
        .array(
          z.object({
            tags: z.object({ station: z.string() }),
            values: z.array(z.tuple([z.number()]).rest(z.unknown())),
          }),
        )
        .default([]),
    }),
  ]),
});

/** The times (ms) of the points of each station, or of one. `station` must be a station code: it becomes text. */
export async function pointTimes(
  influx: TestInfluxd,
  station?: string,
): Promise<Map<string, Set<number>>> {
  const only = station === undefined ? '' : `WHERE "station" = '${station}'`;
  const answer = Answer.parse(
    await influx.query(`SELECT * FROM "report" ${only} GROUP BY "station"`),
  );
  return new Map(
    answer.results[0].series.map(({ tags, values }) => [
      tags.station,
      new Set(values.map(([at]) => at)),
    ]),
  );
}

/**
 * How many points each station has, at least: the count of the measurement that most of them carry. Exact where every
 * report has one in common; where it falls short of what is expected, `pointTimes` of that station tells.
 */
export async function countPoints(influx: TestInfluxd): Promise<Map<string, number>> {
  const answer = Answer.parse(
    await influx.query('SELECT count(*) FROM "report" GROUP BY "station"'),
  );
  return new Map(
    answer.results[0].series.map(({ tags, values }) => {
      const [, ...counts] = values[0] ?? [0];
      return [tags.station, Math.max(0, ...counts.map(Number))];
    }),
  );
}
