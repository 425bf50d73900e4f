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

/** The times (ms) of the points of each station. */
export async function pointTimes(influx: TestInfluxd): Promise<Map<string, Set<number>>> {
  const answer = Answer.parse(await influx.query('SELECT * FROM "report" GROUP BY "station"'));
  return new Map(
    answer.results[0].series.map(({ tags, values }) => [
      tags.station,
      new Set(values.map(([at]) => at)),
    ]),
  );
}

/** How many points each station has; every report of a fleet carries the temperature. */
export async function countPoints(influx: TestInfluxd): Promise<Map<string, number>> {
  const answer = Answer.parse(
    await influx.query('SELECT count("temperature_cel") FROM "report" GROUP BY "station"'),
  );
  return new Map(
    answer.results[0].series.map(({ tags, values }) => [tags.station, Number(values[0]?.[1] ?? 0)]),
  );
}
