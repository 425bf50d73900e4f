/** Births and last wills of the stations, in whatever order the broker lets them come. */
import { sql, type Kysely } from 'kysely';
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { StationPresence } from '@waystation/protocol/uplink';
import type { Schema } from '../database/schema.ts';

/** What stands in the table for one station; times in wall ms. */
export interface KnownPresence {
  online: boolean;
  session: string;
  gateway: string;
  since: number;
  seen_at: number;
  clean: boolean | null;
}

export interface PresenceChange {
  gateway: string;
  /** When the gateway saw it, by the gateway's clock, ms. */
  seen_at: number;
  presence: StationPresence;
}

export type PresenceStep =
  | { take: true; next: KnownPresence }
  /** lateWill: of an earlier session. lateBirth: seen before what we know. */
  | { take: false; why: 'lateWill' | 'lateBirth' };

/**
 * A death counts only for the session that lives: a will of the connection before must not declare the station dead.
 * A session that died does not come back (a broker may repeat its birth), and one seen before the newest word is history.
 */
export function stepPresence(known: KnownPresence | null, change: PresenceChange): PresenceStep {
  const { gateway, presence } = change;
  const seen_at = Math.max(change.seen_at, known?.seen_at ?? 0);
  if (presence.state === 'offline') {
    if (known !== null && known.session !== presence.session)
      return { take: false, why: 'lateWill' };
    const since = known !== null && !known.online ? known.since : seen_at;
    const next = {
      online: false,
      session: presence.session,
      gateway,
      since,
      seen_at,
      clean: presence.clean,
    };
    return { take: true, next };
  }
  const same = known !== null && known.session === presence.session;
  if (same && !known.online) return { take: false, why: 'lateBirth' };
  if (!same && change.seen_at < seen_at) return { take: false, why: 'lateBirth' };
  const since = same ? known.since : seen_at;
  return {
    take: true,
    next: { online: true, session: presence.session, gateway, since, seen_at, clean: null },
  };
}

export interface PresenceResult {
  /** Stations whose presence was taken, with the birth if it was one. */
  taken: { station: StationCode; station_id: number; presence: StationPresence }[];
  late: number;
  /** Codes that no station of ours has. */
  strangers: number;
}

/** Applies a whole report in one transaction, rows locked in key order. */
export async function applyPresence(
  db: Kysely<Schema>,
  report: PresenceReport,
): Promise<PresenceResult> {
  return db.transaction().execute(async (trx) => {
    const codes = report.changes.map(({ station }) => station);
    const stations = await trx
      .selectFrom('station')
      .select(['id', 'code'])
      .where('code', '=', sql<StationCode>`any(${codes}::text[])`)
      .execute();
    const ids = new Map(stations.map(({ code, id }) => [code, id]));
    const known = await readPresence(trx, [...ids.values()]);
    const result: PresenceResult = { taken: [], late: 0, strangers: 0 };
    const rows = new Map<number, KnownPresence>();
    for (const { station, seen_at, presence } of report.changes) {
      const station_id = ids.get(station);
      if (station_id === undefined) {
        result.strangers += 1;
        continue;
      }
      const change = { gateway: report.gateway, seen_at, presence };
      const step = stepPresence(rows.get(station_id) ?? known.get(station_id) ?? null, change);
      if (step.take) {
        rows.set(station_id, step.next);
        result.taken.push({ station, station_id, presence });
      } else result.late += 1;
    }
    await writePresence(trx, rows);
    return result;
  });
}

async function readPresence(
  trx: Kysely<Schema>,
  ids: number[],
): Promise<Map<number, KnownPresence>> {
  const rows = await trx
    .selectFrom('station_presence')
    .selectAll()
    .where('station_id', '=', sql<number>`any(${ids}::int[])`)
    .orderBy('station_id')
    .forUpdate()
    .execute();
  return new Map(
    rows.map(({ station_id, since, seen_at, ...row }) => [
      station_id,
      { ...row, since: since.getTime(), seen_at: seen_at.getTime() },
    ]),
  );
}

async function writePresence(trx: Kysely<Schema>, rows: Map<number, KnownPresence>): Promise<void> {
  if (rows.size === 0) return;
  const values = [...rows].map(([station_id, row]) => ({
    station_id,
    ...row,
    since: new Date(row.since).toISOString(),
    seen_at: new Date(row.seen_at).toISOString(),
  }));
  await sql`insert into station_presence (station_id, online, session, gateway, since, seen_at, clean)
    select * from jsonb_to_recordset(${JSON.stringify(values)}::jsonb)
      as r(station_id int, online boolean, session text, gateway text,
           since timestamptz, seen_at timestamptz, clean boolean)
    order by station_id
    on conflict (station_id) do update set online = excluded.online, session = excluded.session,
      gateway = excluded.gateway, since = excluded.since, seen_at = excluded.seen_at, clean = excluded.clean`.execute(
    trx,
  );
}
