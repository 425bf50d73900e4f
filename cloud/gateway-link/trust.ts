/** Brings the published key set and status list to the stations that have older ones. */
import { sql, type Kysely } from 'kysely';
import type { Command } from '@waystation/protocol/commands';
import type { StationPresence } from '@waystation/protocol/uplink';
import type { Schema } from '../database/schema.ts';
import type { TrustNeed } from './downlink.ts';
import type { Gateways } from './gateways.ts';

export interface TrustVersions {
  key_set_version: number;
  status_list_version: number;
}

/** What the province has published, newest. */
export interface TrustPublisher {
  versions(): TrustVersions;
  keySet(): { version: number; body: Uint8Array };
  statusList(): { version: number; body: Uint8Array };
}

export function needOf(has: TrustVersions, published: TrustVersions): TrustNeed {
  return {
    keySet: has.key_set_version < published.key_set_version,
    statusList: has.status_list_version < published.status_list_version,
  };
}

/** The key set first: it may hold the key that signed the list. */
export function trustCommands(publisher: TrustPublisher, need: TrustNeed): Command[] {
  const base64 = (body: Uint8Array) => Buffer.from(body).toString('base64');
  const commands: Command[] = [];
  if (need.keySet) {
    const { version, body } = publisher.keySet();
    commands.push({ kind: 'keySet', version, body: base64(body) });
  }
  if (need.statusList) {
    const { version, body } = publisher.statusList();
    commands.push({ kind: 'statusList', version, body: base64(body) });
  }
  return commands;
}

/** A birth says what the station has. */
export function needOfBirth(presence: StationPresence, published: TrustVersions): TrustNeed | null {
  if (presence.state === 'offline') return null;
  const need = needOf(presence, published);
  return need.keySet || need.statusList ? need : null;
}

/**
 * Asks for every online station that is behind, by what its records last said; of one gateway, or of all.
 * Told twice does no harm: a station takes only what is newer.
 */
export async function catchUp(parts: {
  db: Kysely<Schema>;
  gateways: Gateways;
  published: TrustVersions;
  /** `null`: every gateway. */
  gateway: string | null;
}): Promise<number> {
  const { db, gateways, published, gateway } = parts;
  const key_set_version = sql<number>`coalesce(state.key_set_version, 0)`;
  const status_list_version = sql<number>`coalesce(state.status_list_version, 0)`;
  let query = db
    .selectFrom('station_presence as presence')
    .innerJoin('station', 'station.id', 'presence.station_id')
    .leftJoin('station_state as state', 'state.station_id', 'station.id')
    .select(['station.code', 'presence.gateway'])
    .select([key_set_version.as('key_set_version'), status_list_version.as('status_list_version')])
    .where('presence.online', '=', true)
    .where((eb) =>
      eb.or([
        eb(key_set_version, '<', published.key_set_version),
        eb(status_list_version, '<', published.status_list_version),
      ]),
    );
  if (gateway !== null) query = query.where('presence.gateway', '=', gateway);
  const rows = await query.orderBy('station.id').execute();
  for (const { code, gateway, ...has } of rows)
    gateways.need(gateway, code, needOf(has, published));
  return rows.length;
}
