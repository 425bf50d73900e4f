/** The stations an account sees: the list, the map's columns and states, one station with its history and its curves. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyPluginAsync } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import {
  QueryRowId,
  SearchText,
  STATION_STATUSES,
  StationDetail,
  StationIndex,
  StationPage,
  StationStates,
  type StationRow,
} from '@waystation/protocol/api';
import {
  STATION_KINDS,
  StationCodeSchema,
  type StationCode,
} from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Access } from '../accounts/access.ts';
import type { Schema } from '../database/schema.ts';
import type { TelemetryStore } from '../telemetry/store.ts';
import type { StatusBoard } from './board.ts';
import type { Directory, DirectoryView } from './directory.ts';
import { eventsRoute, seriesRoute } from './history.ts';
import * as queries from './queries.ts';

export interface StationParts {
  db: Kysely<Schema>;
  clock: Clock;
  access: Access;
  directory: Directory;
  board: StatusBoard;
  telemetry: TelemetryStore;
  /** Number of the newest live message. */
  sequence: () => number;
}

const tags = ['stations'];
const ROWS_MAX = 200;
const Code = z.strictObject({ code: StationCodeSchema });

function notFound(code: StationCode): Fault {
  return new Fault('NOT_FOUND', { problem: `no station ${code}` });
}

/** One row of the database as the API shows it; status and index come from memory. */
function stationRow(
  parts: StationParts,
  view: DirectoryView,
  row: queries.StationListRow,
): StationRow {
  const place = parts.directory.placeOf(row.code);
  const { code, name, kind, address, seats, values } = row;
  return {
    code,
    index: place === undefined ? -1 : (view.index_of[place] ?? -1),
    name,
    kind,
    status: place === undefined ? 'unknown' : parts.board.status(place),
    county: row.county ?? '',
    county_name: row.county_name ?? '',
    city_name: row.city_name ?? '',
    address,
    occupancy_count: values?.occupancy_count?.value ?? null,
    seats,
    water_level_percent: values?.water_level_percent?.value ?? null,
    last_record_at: row.last_record_at?.getTime() ?? null,
  };
}

export function stationRoutes(parts: StationParts): FastifyPluginAsyncZod {
  return async (app) => {
    await app.register(listRoute(parts));
    await app.register(mapRoutes(parts));
    await app.register(detailRoute(parts));
    await app.register(eventsRoute(parts));
    await app.register(seriesRoute(parts));
  };
}

function listRoute(parts: StationParts): FastifyPluginAsyncZod {
  const { db, access, directory, board } = parts;
  const Query = z.strictObject({
    organisation: QueryRowId.optional(),
    kind: z.enum(STATION_KINDS).optional(),
    status: z.enum(STATION_STATUSES).optional(),
    search: SearchText.optional(),
    /** `next` of the page before. */
    after: z
      .string()
      .regex(/^[0-9A-Z]{0,15}$/)
      .default(''),
    limit: z.coerce.number().int().min(1).max(ROWS_MAX).default(50),
  });
  function idsWith(status: (typeof STATION_STATUSES)[number], view: DirectoryView): number[] {
    const places = view.places.filter((place) => board.status(place) === status);
    return places.map((place) => directory.entries[place]?.id ?? 0);
  }
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/stations',
      schema: {
        operationId: 'listStations',
        tags,
        summary: 'Stations in the order of their codes, filtered, page by page',
        querystring: Query,
        response: { 200: StationPage },
      },
      async handler(request) {
        const { organisation, kind, status, search, after, limit } = request.query;
        const { path } = access.actorOf(request);
        const subtree = await queries.subtreeOf(db, path, organisation);
        if (subtree === null)
          throw new Fault('NOT_FOUND', { problem: `no organisation ${organisation}` });
        const view = directory.view(path);
        const ids = status === undefined ? undefined : idsWith(status, view);
        const filter = { path: subtree, kind, search, ids };
        const [total, rows] = await Promise.all([
          queries.countStations(db, filter),
          queries.listStations(db, filter, { after, limit: limit + 1 }),
        ]);
        const shown = rows.slice(0, limit);
        return {
          total,
          rows: shown.map((row) => stationRow(parts, view, row)),
          next: rows.length > limit ? (shown.at(-1)?.code ?? null) : null,
        };
      },
    });
  };
}

const gzipped = new WeakMap<DirectoryView, Promise<Buffer>>();
function gzipOf(view: DirectoryView): Promise<Buffer> {
  let body = gzipped.get(view);
  if (body === undefined) {
    body = promisify(gzip)(view.indexJson());
    gzipped.set(view, body);
  }
  return body;
}

/** Untyped answers: they are sent as text that was written once a view, not once a request. */
function mapRoutes(parts: StationParts): FastifyPluginAsync {
  const { access, directory, board, sequence } = parts;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/stations/index',
      schema: {
        operationId: 'stationIndex',
        tags,
        summary: 'All stations as columns, for the map; changes rarely, carries an ETag',
        response: { 200: StationIndex, 304: z.undefined().describe('As you have it') },
      },
      async handler(request, reply) {
        const view = directory.view(access.actorOf(request).path);
        const etag = `"${view.version}"`;
        reply.headers({
          etag,
          'cache-control': 'private, no-cache',
          vary: 'accept-encoding, cookie',
        });
        if (request.headers['if-none-match'] === etag) return reply.code(304).send();
        void reply.type('application/json; charset=utf-8');
        if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return view.indexJson();
        void reply.header('content-encoding', 'gzip');
        return gzipOf(view);
      },
    });
    app.route({
      method: 'GET',
      url: '/stations/states',
      schema: {
        operationId: 'stationStates',
        tags,
        summary: 'The status of every station, one digit each, in the order of the index',
        response: { 200: StationStates },
      },
      async handler(request) {
        const { version, places } = directory.view(access.actorOf(request).path);
        const states = places.map((place) => board.statuses[place] ?? 0).join('');
        return { version, sequence: sequence(), states };
      },
    });
  };
}

function detailRoute(parts: StationParts): FastifyPluginAsyncZod {
  const { db, clock, access, directory } = parts;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/stations/:code',
      schema: {
        operationId: 'readStation',
        tags,
        summary: 'One station with everything last known of it',
        params: Code,
        response: { 200: StationDetail },
      },
      async handler(request) {
        const { path } = access.actorOf(request);
        const { code } = request.params;
        const row = await queries.findStation(db, {
          path,
          code,
          day: queries.shanghaiDay(clock.wall()),
        });
        if (row === undefined) throw notFound(code);
        return {
          ...stationRow(parts, directory.view(path), row),
          longitude: row.longitude,
          latitude: row.latitude,
          online: row.online ?? false,
          online_since: row.online === true ? (row.since?.getTime() ?? null) : null,
          portal: row.portal,
          mode: row.mode,
          room: row.room,
          clock: row.clock,
          inputs: { ...row.inputs },
          values: { ...row.values },
          devices: row.devices ?? {},
          software: row.software,
          today: { openings: row.openings ?? 0, denials: row.denials ?? 0 },
        };
      },
    });
  };
}
