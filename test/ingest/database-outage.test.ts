/** PostgreSQL is killed and started again under a stream of records: no acknowledgement is untrue, nothing is missing. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Database } from '@waystation/cloud/database/open';
import type { StationCode } from '@waystation/protocol/station-code';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { openTestDatabase, seedStations } from './databases.ts';
import { accessEvent, createStationModel } from './station-model.ts';
import { createIngestWorld } from './world.ts';

const ROUNDS = 40;
const KILL_AT = [5, 12, 20, 33];

let postgres: TestPostgres;
let database: Database;
let codes: StationCode[];
beforeAll(async () => {
  postgres = await startPostgres();
  database = await openTestDatabase(postgres.url);
  codes = await seedStations(database, 20);
});
afterAll(async () => {
  await database.close();
  await postgres.stop();
});

it('goes on after every kill of the server, from where the cursor stands', async () => {
  const world = createIngestWorld(database);
  const stations = codes.map((code) => createStationModel(code, 'aaaaaaaaaaaa'));
  const sendAll = async () => {
    const frames = stations
      .filter(({ acked, records }) => acked.event < records.event.length)
      .map((station) => station.frame('event', station.acked.event + 1, 100));
    const { acks } = await world.ingest.ingest(frames, 'test');
    for (const { station, ack } of acks) {
      expect(ack.problem).toBeUndefined();
      const model = stations.find(({ code }) => code === station);
      if (model) model.acked.event = Math.max(model.acked.event, ack.through);
    }
  };
  const happen = (round: number) => {
    for (const station of stations)
      station.event(accessEvent(1_780_000_000_000 + round, 'granted', round));
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    happen(round);
    // The server may die before, in or after this one's commit.
    const sending = sendAll().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    });
    if (!KILL_AT.includes(round)) await sending;
    else {
      await postgres.kill('SIGKILL');
      await sending;
      happen(round);
      await expect(sendAll()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      await postgres.restart();
    }
  }
  await expect(sendAll()).resolves.toBeUndefined();
  const { rows } = await database.pool.query<{ bodies: unknown }>(
    'select jsonb_agg(body order by seq) as bodies from event group by station_id order by station_id',
  );
  expect(rows.map(({ bodies }) => bodies)).toEqual(stations.map(({ records }) => records.event));
  expect(stations.map(({ acked }) => acked.event)).toEqual(
    stations.map(() => ROUNDS + KILL_AT.length),
  );
  await world.stop();
});
