/** The status of every station, in memory: facts as last committed, statuses derived from them, and what changed. */
import { sql, type Kysely } from 'kysely';
import { STATION_STATUSES, type StationStatus } from '@waystation/protocol/api';
import type { EpochMs } from '@waystation/runtime/clock';
import type { Schema } from '../database/schema.ts';
import type { Directory } from './directory.ts';
import { stationStatus, type StatusFacts } from './status.ts';

/** What the database says of a station, without what is known in memory (lifecycle, gateways). */
export interface BoardFacts extends Omit<StatusFacts, 'lifecycle' | 'gateway_here'> {
  gateway: string | null;
}

/** Place in the directory, and place in STATION_STATUSES. */
export type StatusChange = readonly [place: number, status: number];

export interface StatusBoard {
  /** Takes new facts of one station. */
  set(place: number, facts: BoardFacts): void;
  facts(place: number): BoardFacts;
  status(place: number): StationStatus;
  /** One place in STATION_STATUSES a station, in the order of the directory. */
  readonly statuses: Uint8Array;
  /** The gateway came or went: its stations are looked at again. */
  gatewayMoved(gateway: string): void;
  /** Statuses move with time alone (old values). */
  lookAgain(): void;
  /** What moved since the last call, each station once. */
  takeChanges(): StatusChange[];
}

const NOTHING_KNOWN: BoardFacts = {
  online: null,
  gateway: null,
  last_received_at: null,
  portal: null,
  mode: null,
  room: null,
  smoke: false,
  sos: false,
  tamper: false,
  presence: false,
  controller: true,
  occupancy: null,
};

export function createStatusBoard(parts: {
  directory: Directory;
  now: () => EpochMs;
  isGatewayHere: (gateway: string) => boolean;
}): StatusBoard {
  const { directory, now, isGatewayHere } = parts;
  const facts: BoardFacts[] = directory.entries.map(() => NOTHING_KNOWN);
  const statuses = new Uint8Array(facts.length);
  const changed = new Set<number>();

  function derive(place: number): number {
    const entry = directory.entries[place];
    const known = facts[place];
    if (entry === undefined || known === undefined) throw new RangeError(`no station at ${place}`);
    const gateway_here = known.gateway !== null && isGatewayHere(known.gateway);
    return STATION_STATUSES.indexOf(
      stationStatus({ ...known, lifecycle: entry.lifecycle, gateway_here }, now()),
    );
  }
  function look(place: number): void {
    const status = derive(place);
    if (statuses[place] === status) return;
    statuses[place] = status;
    changed.add(place);
  }
  facts.forEach((_, place) => (statuses[place] = derive(place)));

  return {
    statuses,
    set(place, known) {
      facts[place] = known;
      look(place);
    },
    facts: (place) => facts[place] ?? NOTHING_KNOWN,
    status: (place) => STATION_STATUSES[statuses[place] ?? 0] ?? 'unknown',
    gatewayMoved(gateway) {
      facts.forEach((known, place) => known.gateway === gateway && look(place));
    },
    lookAgain: () => facts.forEach((_, place) => look(place)),
    takeChanges() {
      const changes = [...changed].map((place): StatusChange => [place, statuses[place] ?? 0]);
      changed.clear();
      return changes;
    },
  };
}

/** Reads the facts of these stations, or of all, as they are committed now. */
export async function readFacts(
  db: Kysely<Schema>,
  station_ids: readonly number[] | 'all',
): Promise<(BoardFacts & { station_id: number })[]> {
  let query = db
    .selectFrom('station')
    .leftJoin('station_state as state', 'state.station_id', 'station.id')
    .leftJoin('station_presence as presence', 'presence.station_id', 'station.id')
    .select(['station.id as station_id', 'presence.online', 'presence.gateway'])
    .select(['state.portal', 'state.mode', 'state.room', 'state.inputs', 'state.devices'])
    .select([
      'state.last_received_at',
      sql<{ value: number; at: number } | null>`state.values -> 'occupancy_count'`.as('occupancy'),
    ])
    .where((eb) =>
      eb.or([eb('state.station_id', 'is not', null), eb('presence.station_id', 'is not', null)]),
    );
  if (station_ids !== 'all') {
    query = query.where('station.id', '=', sql<number>`any(${station_ids}::int[])`);
  }
  const rows = await query.execute();
  return rows.map(({ inputs, devices, last_received_at, ...row }) => ({
    ...row,
    last_received_at: last_received_at?.getTime() ?? null,
    smoke: inputs?.smoke ?? false,
    sos: inputs?.sosPressed ?? false,
    tamper: inputs?.tamper ?? false,
    presence: inputs?.presence ?? false,
    controller: devices?.controller ?? true,
  }));
}
