/** One station's history: what happened there, and its measurements over time. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { EventPage, QueryTime, Series } from '@waystation/protocol/api';
import { MEASUREMENT_NAMES, type MeasurementName } from '@waystation/protocol/registers';
import { StationCodeSchema, type StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Access } from '../accounts/access.ts';
import type { Schema } from '../database/schema.ts';
import type { TelemetryStore } from '../telemetry/store.ts';
import { eventLine } from './event-line.ts';
import * as queries from './queries.ts';

interface HistoryParts {
  db: Kysely<Schema>;
  clock: Clock;
  access: Access;
  telemetry: TelemetryStore;
}

const tags = ['stations'];
const Code = z.strictObject({ code: StationCodeSchema });
const LINES_MAX = 200;
const POINTS_MAX = 500;
const SERIES_SPAN_MAX_MS = 400 * 86_400_000;

/** `at.generation.seq` of the last line; opaque to clients. */
const EventCursor = z.string().regex(/^\d{1,13}\.\d{1,9}\.\d{1,16}$/);
function parseCursor(cursor: string): queries.EventPlace {
  const [at = 0, generation = 0, seq = 0] = cursor.split('.').map(Number);
  return { at, generation, seq };
}

/** Throws Fault NOT_FOUND for what the account may not see. */
async function idOf(db: Kysely<Schema>, path: string, code: StationCode): Promise<number> {
  const id = await queries.findStationId(db, { path, code });
  if (id === null) throw new Fault('NOT_FOUND', { problem: `no station ${code}` });
  return id;
}

export function eventsRoute({
  db,
  access,
}: Pick<HistoryParts, 'db' | 'access'>): FastifyPluginAsyncZod {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/stations/:code/events',
      schema: {
        operationId: 'listEvents',
        tags,
        summary: 'What happened at a station, newest first; never names a person',
        params: Code,
        querystring: z.strictObject({
          before: EventCursor.optional(),
          limit: z.coerce.number().int().min(1).max(LINES_MAX).default(50),
        }),
        response: { 200: EventPage },
      },
      async handler(request) {
        const { before, limit } = request.query;
        const { code } = request.params;
        const { path } = access.actorOf(request);
        await idOf(db, path, code);
        const place = before === undefined ? null : parseCursor(before);
        const rows = await queries.listEvents(
          db,
          { path, code },
          { before: place, limit: limit + 1 },
        );
        const shown = rows.slice(0, limit);
        const last = shown.at(-1);
        return {
          rows: shown.map(({ epoch, seq, at, received_at, body }) =>
            eventLine(
              {
                station: code,
                epoch: epoch ?? '',
                seq: Number(seq),
                at: at.getTime(),
                received_at: received_at.getTime(),
              },
              body,
            ),
          ),
          next:
            rows.length > limit && last !== undefined
              ? `${last.at.getTime()}.${last.generation}.${last.seq}`
              : null,
        };
      },
    });
  };
}

export function seriesRoute({ db, clock, access, telemetry }: HistoryParts): FastifyPluginAsyncZod {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/stations/:code/series',
      schema: {
        operationId: 'readSeries',
        tags,
        summary: 'A measurement over time, oldest first; gaps are gaps',
        params: Code,
        querystring: z
          .strictObject({
            measurement: z.enum(MEASUREMENT_NAMES as [MeasurementName, ...MeasurementName[]]),
            from: QueryTime.optional(),
            to: QueryTime.optional(),
          })
          .refine(({ from = 0, to = Number.MAX_SAFE_INTEGER }) => from < to, {
            path: ['from'],
            error: 'must be before `to`',
          }),
        response: { 200: Series },
      },
      async handler(request) {
        const { code } = request.params;
        const { measurement } = request.query;
        const { to = clock.wall() } = request.query;
        const { from = to - 86_400_000 } = request.query;
        if (to - from > SERIES_SPAN_MAX_MS) {
          throw new Fault('REQUEST_INVALID', {
            field: 'querystring.from',
            problem: 'more than 400 days',
          });
        }
        const station_id = await idOf(db, access.actorOf(request).path, code);
        const query = { station: code, station_id, measurement, from, to, points_max: POINTS_MAX };
        return { measurement, points: await telemetry.series(query) };
      },
    });
  };
}
