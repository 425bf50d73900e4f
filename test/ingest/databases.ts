/** The databases every suite runs on by the same code, with a small province in them. */
import { openDatabase, type Database } from '@waystation/cloud/database/open';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';

/** Makes one organisation and `count` stations below it. Returns their codes in the order of their ids. */
export async function seedStations(database: Database, count: number): Promise<StationCode[]> {
  const codes = Array.from({ length: count }, (_, number) =>
    stationCode(`37010${2 + Math.floor(number / 10_000)}001`, 'W', number % 10_000),
  );
  await database.pool.query(
    `insert into organisation (id, level, adcode, name, path) values (1, 'province', '370000', '山东省', '1') on conflict do nothing`,
  );
  await database.pool.query(
    `insert into station (code, name, kind, organisation_id, longitude, latitude)
     select c, c, 'W', 1, 117, 36.6 from unnest($1::text[]) with ordinality as t(c, n) order by n on conflict do nothing`,
    [codes],
  );
  return codes;
}

export function openTestDatabase(url: string): Promise<Database> {
  return openDatabase({ url, clock: systemClock(), log: silentLog });
}

/** Empties what ingest writes; the stations stay. */
export async function emptyTables(database: Database): Promise<void> {
  await database.pool.query(
    `truncate event, stream_cursor, station_state, usage_daily, dead_letter, stream_fault, telemetry_backlog,
     telemetry, command`,
  );
}
