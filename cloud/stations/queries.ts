/** Stations as rows of the database, always within one subtree of the organisations. */
import { sql, type Kysely } from 'kysely';
import type { StationCode, StationKind } from '@waystation/protocol/station-code';
import type { EpochMs } from '@waystation/runtime/clock';
import { inSubtree } from '../accounts/scope.ts';
import type { Schema } from '../database/schema.ts';

export interface StationFilter {
  /** The subtree: the account's, or a part of it. */
  path: string;
  kind?: StationKind | undefined;
  /** Found in name, code or address. */
  search?: string | undefined;
  /** Ids of the stations with the wanted status. */
  ids?: readonly number[] | undefined;
}

/** The day in Shandong, the whole year UTC+8, as YYYY-MM-DD. */
export function shanghaiDay(at: EpochMs): string {
  return new Date(at + 8 * 3_600_000).toISOString().slice(0, 10);
}

/** The id of a station that the account may see. */
export async function findStationId(
  db: Kysely<Schema>,
  where: { path: string; code: StationCode },
): Promise<number | null> {
  const row = await filtered(db, { path: where.path })
    .select('station.id')
    .where('station.code', '=', where.code)
    .executeTakeFirst();
  return row?.id ?? null;
}

/** LIKE without its wildcards. */
function containing(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
}

function filtered(db: Kysely<Schema>, filter: StationFilter) {
  let query = db
    .selectFrom('station')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .where(inSubtree(filter.path));
  if (filter.kind !== undefined) query = query.where('station.kind', '=', filter.kind);
  if (filter.ids !== undefined) {
    query = query.where('station.id', '=', sql<number>`any(${filter.ids}::int[])`);
  }
  if (filter.search !== undefined) {
    const pattern = containing(filter.search);
    query = query.where((eb) =>
      eb.or([
        eb('station.name', 'ilike', pattern),
        sql<boolean>`station.code ilike ${pattern}`,
        eb('station.address', 'ilike', pattern),
      ]),
    );
  }
  return query;
}

export async function countStations(db: Kysely<Schema>, filter: StationFilter): Promise<number> {
  const row = await filtered(db, filter)
    .select(sql<string>`count(*)`.as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** City and county stand at the second and third place of the path, however deep the leaf hangs. */
function ancestor(place: number) {
  return sql<number>`nullif(split_part(organisation.path, '.', ${sql.lit(place)}), '')::int`;
}

function rows(db: Kysely<Schema>, filter: StationFilter) {
  return filtered(db, filter)
    .leftJoin('organisation as city', (join) => join.on('city.id', '=', ancestor(2)))
    .leftJoin('organisation as county', (join) => join.on('county.id', '=', ancestor(3)))
    .leftJoin('station_state as state', 'state.station_id', 'station.id')
    .select(['station.id', 'station.code', 'station.name', 'station.kind', 'station.address'])
    .select(['station.seats', 'county.adcode as county', 'county.name as county_name'])
    .select(['city.name as city_name', 'state.values', 'state.last_record_at']);
}
export type StationListRow = Awaited<ReturnType<typeof listStations>>[number];

/** The next `limit` stations after the code `after`, in the order of the codes. */
export async function listStations(
  db: Kysely<Schema>,
  filter: StationFilter,
  page: { after: string; limit: number },
) {
  return rows(db, filter)
    .where(sql<boolean>`station.code > ${page.after}`)
    .orderBy('station.code')
    .limit(page.limit)
    .execute();
}

export async function findStation(
  db: Kysely<Schema>,
  where: { path: string; code: StationCode; day: string },
) {
  return rows(db, { path: where.path })
    .leftJoin('station_presence as presence', 'presence.station_id', 'station.id')
    .leftJoin('usage_daily as today', (join) =>
      join
        .onRef('today.station_id', '=', 'station.id')
        .on('today.day', '=', sql<Date>`${where.day}::date`),
    )
    .select(['station.longitude', 'station.latitude', 'presence.online', 'presence.since'])
    .select(['state.portal', 'state.mode', 'state.room', 'state.clock', 'state.inputs'])
    .select(['state.devices', 'state.software', 'today.openings', 'today.denials'])
    .where('station.code', '=', where.code)
    .executeTakeFirst();
}

/** Place in the history of a station, newest first. */
export interface EventPlace {
  at: number;
  generation: number;
  seq: number;
}

export async function listEvents(
  db: Kysely<Schema>,
  where: { path: string; code: StationCode },
  page: { before: EventPlace | null; limit: number },
) {
  let query = db
    .selectFrom('event')
    .innerJoin('station', 'station.id', 'event.station_id')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .leftJoin('stream_cursor as cursor', (join) =>
      join
        .onRef('cursor.station_id', '=', 'event.station_id')
        .onRef('cursor.generation', '=', 'event.generation')
        .on('cursor.stream', '=', 'event'),
    )
    .select(['event.generation', 'event.seq', 'event.at', 'event.received_at', 'event.body'])
    .select('cursor.epoch')
    .where('station.code', '=', where.code)
    .where(inSubtree(where.path));
  if (page.before !== null) {
    const { at, generation, seq } = page.before;
    query = query.where(
      sql<boolean>`(event.at, event.generation, event.seq) < (${new Date(at)}::timestamptz, ${generation}::int, ${seq}::bigint)`,
    );
  }
  return query
    .orderBy('event.at', 'desc')
    .orderBy('event.generation', 'desc')
    .orderBy('event.seq', 'desc')
    .limit(page.limit)
    .execute();
}

/** The subtree of this organisation if the account may see it, its own without one; `null` when it may not. */
export async function subtreeOf(
  db: Kysely<Schema>,
  path: string,
  organisation: number | undefined,
): Promise<string | null> {
  if (organisation === undefined) return path;
  const row = await db
    .selectFrom('organisation')
    .select('path')
    .where('id', '=', organisation)
    .where(inSubtree(path))
    .executeTakeFirst();
  return row?.path ?? null;
}
