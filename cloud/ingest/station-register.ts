/** Which station codes exist, with their ids and leaf organisations: read once, looked up again when one is missing. */
import type { Kysely } from 'kysely';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock, MonoMs } from '@waystation/runtime/clock';
import type { Schema } from '../database/schema.ts';
import type { StationEntry } from './batch.ts';

export interface StationRegister {
  /** The known ones of these. Reads the table again when one is missing, at most once every few seconds. */
  find(codes: ReadonlySet<StationCode>): Promise<ReadonlyMap<StationCode, StationEntry>>;
  /** Stations were made, moved or removed. */
  refresh(): Promise<void>;
}

const REREAD_MS = 5_000;
/** Another process may have moved stations to other organisations. */
const STALE_MS = 60_000;

export function createStationRegister(db: Kysely<Schema>, clock: Clock): StationRegister {
  let entries: ReadonlyMap<StationCode, StationEntry> = new Map();
  let read_at: MonoMs | null = null;
  let reading: Promise<void> | null = null;

  const read = async () => {
    const rows = await db.selectFrom('station').select(['id', 'code', 'organisation_id']).execute();
    entries = new Map(rows.map((row) => [row.code, row]));
    read_at = clock.mono();
  };
  const refresh = () => {
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };
  return {
    refresh,
    async find(codes) {
      const missing = [...codes].some((code) => !entries.has(code));
      const age_ms = read_at === null ? Infinity : clock.mono() - read_at;
      if (missing && age_ms >= REREAD_MS) await refresh();
      else if (age_ms >= STALE_MS) refresh().catch(() => {}); // the old entries serve until the next try
      return entries;
    },
  };
}
