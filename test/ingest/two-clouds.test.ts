/** Two clouds behind a load balancer, on one PostgreSQL, given the same messages at the same time. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { openTestDatabase, seedStations } from './databases.ts';
import { accessEvent, createStationModel, reportSample } from './station-model.ts';
import { createIngestWorld } from './world.ts';

const NOW = Date.UTC(2026, 10, 22, 4, 0, 0);
const EPOCH = 'aaaaaaaaaaaa';
const NEXT_EPOCH = 'bbbbbbbbbbbb';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

it('two clouds take every record once between them, new epochs included', async () => {
  const databases = await Promise.all([
    openTestDatabase(postgres.url),
    openTestDatabase(postgres.url),
  ]);
  const [first] = databases;
  const codes = await seedStations(first, 20);
  const worlds = databases.map((database) => createIngestWorld(database));
  const stations = codes.map((code) => createStationModel(code, EPOCH));
  for (let round = 0; round < 15; round += 1) {
    if (round === 7) for (const station of stations) station.beginEpoch(NEXT_EPOCH);
    const frames = stations.flatMap((station) => {
      const n = station.event(accessEvent(NOW + round, 'granted'));
      return [
        station.frame('event', n, 1),
        station.frame('sample', station.sample(reportSample(NOW + round, 20)), 1),
      ];
    });
    const answers = await Promise.all(
      worlds.map((world, index) => world.send(...(index === 0 ? frames : frames.toReversed()))),
    );
    for (const ack of answers.flat()) expect(ack.problem).toBeUndefined();
  }
  const count = async (table: string) =>
    (await first.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)).rows[0]?.n;
  expect(await count('event')).toBe(15 * 20);
  expect(await count('telemetry')).toBe(15 * 20);
  const { rows } = await first.pool.query('select sum(openings)::int as openings from usage_daily');
  expect(rows).toEqual([{ openings: 15 * 20 }]);
  const faults = await first.pool.query(
    'select kind, count(*)::int as n from stream_fault group by kind',
  );
  expect(faults.rows).toEqual([{ kind: 'epoch', n: 40 }]);
  expect(worlds.map((world) => world.ingest.counts.failed_batches)).toEqual([0, 0]);

  for (let round = 0; round < 10; round += 1) {
    for (const station of stations) {
      station.beginEpoch(String(round).padStart(12, '0'));
      for (let n = 0; n < 3; n += 1) station.sample(reportSample(NOW + round * 10 + n, 20));
    }
    const frames = (count: number) => stations.map((station) => station.frame('sample', 1, count));
    await Promise.all(worlds.map((world, index) => world.send(...frames(index === 0 ? 3 : 1))));
  }
  const short = await first.pool.query(
    `select 1 from stream_cursor where epoch like '0%' and through <> 3`,
  );
  expect(short.rows).toEqual([]);
  for (const world of worlds) await world.stop();
  for (const database of databases) await database.close();
});
