/** Every station's fixed facts in memory, in the order of the codes, and the part of them that each account sees. */
import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { StationIndex } from '@waystation/protocol/api';
import type { StationCode, StationKind } from '@waystation/protocol/station-code';
import { isInSubtree } from '../accounts/scope.ts';
import type { Schema } from '../database/schema.ts';
import type { StatusFacts } from './status.ts';

export interface DirectoryEntry {
  id: number;
  code: StationCode;
  name: string;
  kind: StationKind;
  lifecycle: StatusFacts['lifecycle'];
  longitude: number;
  latitude: number;
  county: string;
  /** Path of the leaf organisation. */
  path: string;
}

/** What one account sees: its stations in the order of the codes; a station's place here is its `index`. */
export interface DirectoryView {
  version: string;
  /** Places in the whole directory. */
  places: readonly number[];
  /** Place in the whole directory to place in this view, or -1. */
  index_of: Int32Array;
  /** The answer of /stations/index as JSON, written at the first call. */
  indexJson(): string;
}

export interface Directory {
  readonly entries: readonly DirectoryEntry[];
  placeOf(code: StationCode): number | undefined;
  placeOfId(id: number): number | undefined;
  view(path: string): DirectoryView;
}

/** Views kept at most; an office has one, the busiest stay. */
const VIEWS_MAX = 64;

export async function loadDirectory(db: Kysely<Schema>): Promise<Directory> {
  const rows = await db
    .selectFrom('station')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .select(['station.id', 'station.code', 'station.name', 'station.kind', 'station.lifecycle'])
    .select(['station.longitude', 'station.latitude', 'organisation.adcode', 'organisation.path'])
    .orderBy('station.code')
    .execute();
  return createDirectory(
    rows.map(({ adcode, ...row }) => ({ ...row, county: adcode.slice(0, 6) })),
  );
}

/** `entries` sorted by code. */
export function createDirectory(entries: readonly DirectoryEntry[]): Directory {
  const by_code = new Map(entries.map(({ code }, place) => [code, place]));
  const by_id = new Map(entries.map(({ id }, place) => [id, place]));
  const views = new Map<string, DirectoryView>();
  return {
    entries,
    placeOf: (code) => by_code.get(code),
    placeOfId: (id) => by_id.get(id),
    view(path) {
      const known = views.get(path);
      // Taken out and put back, so that the first of the map is the one not used for longest.
      views.delete(path);
      const view = known ?? createView(entries, path);
      views.set(path, view);
      const [oldest] = views.keys();
      if (views.size > VIEWS_MAX && oldest !== undefined) views.delete(oldest);
      return view;
    },
  };
}

function createView(entries: readonly DirectoryEntry[], path: string): DirectoryView {
  const index_of = new Int32Array(entries.length).fill(-1);
  const places: number[] = [];
  entries.forEach((entry, place) => {
    if (!isInSubtree(entry.path, path)) return;
    index_of[place] = places.length;
    places.push(place);
  });
  const seen = entries.filter((_, place) => index_of[place] !== -1);
  const hash = createHash('sha256');
  for (const entry of seen) hash.update(JSON.stringify(entry));
  const version = hash.digest('hex').slice(0, 16);
  let json: string | null = null;
  return {
    version,
    places,
    index_of,
    indexJson: () => (json ??= JSON.stringify(columnsOf(seen, version))),
  };
}

function columnsOf(seen: readonly DirectoryEntry[], version: string): StationIndex {
  return {
    version,
    code: seen.map(({ code }) => code),
    name: seen.map(({ name }) => name),
    longitude: seen.map(({ longitude }) => longitude),
    latitude: seen.map(({ latitude }) => latitude),
    county: seen.map(({ county }) => county),
    kind: seen.map(({ kind }) => kind),
  };
}
