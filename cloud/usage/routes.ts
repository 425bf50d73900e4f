/** How the stations are used, day by day: exact sums of what was counted at ingest. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { sql, type Kysely } from 'kysely';
import { z } from 'zod';
import { QueryRowId, UsageDay } from '@waystation/protocol/api';
import { StationCodeSchema } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Access } from '../accounts/access.ts';
import { inSubtree } from '../accounts/scope.ts';
import type { Schema } from '../database/schema.ts';
import { findStationId, shanghaiDay, subtreeOf } from '../stations/queries.ts';

const DAYS_MAX = 800;
const DAYS_DEFAULT = 30;
const DAY_MS = 86_400_000;
const Query = z.strictObject({
  organisation: QueryRowId.optional(),
  station: StationCodeSchema.optional(),
  /** Days in Shandong, both inclusive; absent: the last 30. */
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
});

export function usageRoutes(parts: {
  db: Kysely<Schema>;
  clock: Clock;
  access: Access;
}): FastifyPluginAsyncZod {
  const { db, clock, access } = parts;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/usage/daily',
      schema: {
        operationId: 'dailyUsage',
        tags: ['usage'],
        summary:
          'Openings and denials by day, of an organisation or one station; a day without any is absent',
        querystring: Query,
        response: { 200: z.array(UsageDay) },
      },
      async handler(request) {
        const { organisation, station, to = shanghaiDay(clock.wall()) } = request.query;
        const end = Date.parse(to);
        const { from = new Date(end - (DAYS_DEFAULT - 1) * DAY_MS).toISOString().slice(0, 10) } =
          request.query;
        const days = (end - Date.parse(from)) / DAY_MS;
        if (days < 0 || days > DAYS_MAX) {
          throw new Fault('REQUEST_INVALID', {
            field: 'querystring.from',
            problem: `not between 0 and ${DAYS_MAX} days before to`,
          });
        }
        const { path } = access.actorOf(request);
        const subtree = await subtreeOf(db, path, organisation);
        if (subtree === null)
          throw new Fault('NOT_FOUND', { problem: `no organisation ${organisation}` });
        let query = db
          .selectFrom('usage_daily as usage')
          .innerJoin('station', 'station.id', 'usage.station_id')
          .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
          .select(sql<string>`to_char(usage.day, 'YYYY-MM-DD')`.as('day'))
          .select(sql<string>`sum(usage.openings)`.as('openings'))
          .select(sql<string>`sum(usage.denials)`.as('denials'))
          .where(inSubtree(subtree))
          .where(sql<boolean>`usage.day between ${from}::date and ${to}::date`)
          .groupBy('usage.day')
          .orderBy('usage.day');
        if (station !== undefined) {
          const id = await findStationId(db, { path: subtree, code: station });
          if (id === null) throw new Fault('NOT_FOUND', { problem: `no station ${station}` });
          query = query.where('usage.station_id', '=', id);
        }
        const rows = await query.execute();
        return rows.map(({ day, openings, denials }) => ({
          day,
          openings: Number(openings),
          denials: Number(denials),
        }));
      },
    });
  };
}
