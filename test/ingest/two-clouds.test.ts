/** Two clouds behind a load balancer, on one PostgreSQL, given the same messages at the same time. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { replayOldest } from '@waystation/cloud/telemetry/backlog';
import type { TelemetryStore } from '@waystation/cloud/telemetry/store';
import { systemClock } from '@waystation/runtime/clock';
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

it('two clouds replay one backlog: every point stored, every refused one noted once', async () => {
  const databases = await Promise.all([
    openTestDatabase(postgres.url),
    openTestDatabase(postgres.url),
  ]);
  const [{ pool }] = databases;
  const [code] = await seedStations(databases[0], 1);
  await pool.query('truncate dead_letter, telemetry_backlog');
  const row = (at: number) =>
    JSON.stringify([
      { station: code, station_id: 1, organisation_id: 1, at, values: { uptime_s: 1 } },
      { station: code, station_id: 1, organisation_id: 1, at: at + 1, values: { uptime_s: 2 } },
    ]);
  const put = async (at: number) =>
    pool.query(`insert into telemetry_backlog (received_at, count, points) values (now(), 2, $1)`, [
      row(at),
    ]);
  for (let n = 0; n < 5; n += 1) await put(NOW + n * 10);
  const stored = new Set<number>();
  const both = Promise.withResolvers<void>();
  let waiting = 0;
  /** Answers when both have read, and refuses the second point of each row. */
  const store: TelemetryStore = {
    kind: 'influx',
    async write(points) {
      waiting += 1;
      if (waiting === 1) await put(NOW + 1000); // only the second reads it
      if (waiting === 2) both.resolve();
      const [good, bad] = [
        points.filter(({ at }) => at % 10 === 0),
        points.filter(({ at }) => at % 10 === 1),
      ];
      for (const { at } of good) stored.add(at);
      await both.promise;
      return bad.map((point) => ({ point, reason: 'refused' }));
    },
    series: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  const clock = systemClock();
  const first = replayOldest(pool, store, clock);
  await expect
    .poll(async () => (await pool.query('select from telemetry_backlog')).rowCount)
    .toBe(6);
  const answers = await Promise.all([first, replayOldest(databases[1].pool, store, clock)]);
  expect(answers.reduce((sum, { removed }) => sum + removed, 0)).toBe(12);
  expect(answers.map(({ read }) => read)).toEqual([10, 12]);
  expect(stored.size).toBe(6);
  expect((await pool.query('select from telemetry_backlog')).rowCount).toBe(0);
  expect((await pool.query('select from dead_letter')).rowCount).toBe(6);
  for (const database of databases) await database.close();
});
