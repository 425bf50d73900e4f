/** influxd dies, freezes and comes back under a stream of records: doors do not wait, and nothing is missing afterwards. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '@waystation/cloud/database/open';
import { createInfluxTelemetry } from '@waystation/cloud/telemetry/influx';
import type { StationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { emptyTables, openTestDatabase, seedStations } from './databases.ts';
import {
  accessEvent,
  createStationModel,
  reportSample,
  type StationModel,
} from './station-model.ts';
import { createIngestWorld, type IngestWorld } from './world.ts';

const clock = systemClock();
const STATIONS = 30;
const PATIENCE_MS = 500;

let postgres: TestPostgres;
let influxd: TestInfluxd;
let database: Database;
let codes: StationCode[];
beforeAll(async () => {
  [postgres, influxd] = await Promise.all([startPostgres(), startInfluxd()]);
  database = await openTestDatabase(postgres.url);
  codes = await seedStations(database, STATIONS);
});
afterAll(async () => {
  await database.close();
  await Promise.all([postgres.stop(), influxd.stop()]);
});

describe('telemetry outage', () => {
  let world: IngestWorld;
  let stations: StationModel[];
  let at = 0;
  const open = (more: { backlog_points_max?: number } = {}) =>
    createIngestWorld(database, {
      patience_ms: PATIENCE_MS,
      store: createInfluxTelemetry({
        url: influxd.url,
        flavour: 1,
        database: influxd.database,
        username: influxd.username,
        password: influxd.password,
        timeout_ms: 1_000,
      }),
      ...more,
    });
  beforeEach(async () => {
    await emptyTables(database);
    await influxd.query('DROP SERIES FROM report');
    stations = codes.map((code) => createStationModel(code, 'aaaaaaaaaaaa'));
    at = clock.wall() - 1_000_000;
    world = open();
  });
  afterEach(() => world.stop());

  /** One record of each stream from every station. Returns how long the slowest acknowledgement took. */
  const round = async (): Promise<number> => {
    const began = clock.mono();
    at += 1;
    const frames = stations.flatMap((station) => [
      station.frame('event', station.event(accessEvent(at, 'granted')), 1),
      station.frame('sample', station.sample(reportSample(at, 20)), 1),
    ]);
    for (const ack of await world.send(...frames)) expect(ack.problem).toBeUndefined();
    return clock.mono() - began;
  };
  const rounds = async (count: number) => {
    let slowest_ms = 0;
    for (let n = 0; n < count; n += 1) slowest_ms = Math.max(slowest_ms, await round());
    return slowest_ms;
  };
  const replayed = async () => {
    while (world.telemetry.status().backlog_points > 0) await clock.sleep(20);
  };
  const pointsStored = async (): Promise<number> => {
    const answer = (await influxd.query('SELECT COUNT(co2_ppm) FROM report')) as {
      results: { series?: { values: [number, number][] }[] }[];
    };
    return answer.results[0]?.series?.[0]?.values[0]?.[1] ?? 0;
  };

  it('loses nothing when influxd is killed and started again', async () => {
    await rounds(10);
    await influxd.kill('SIGKILL');
    const slowest_ms = await rounds(10);
    expect(slowest_ms).toBeLessThan(2_000);
    expect(world.telemetry.status()).toMatchObject({ available: false });
    await influxd.restart();
    await rounds(10);
    await replayed();
    await rounds(1);
    expect(world.telemetry.status()).toMatchObject({ available: true, backlog_points: 0 });
    expect(await pointsStored()).toBe(31 * STATIONS);
    expect(await world.rows('dead_letter')).toEqual([]);
  });

  it('waits once, and briefly, for a frozen influxd; events do not wait at all', async () => {
    await rounds(3);
    await replayed();
    influxd.pause();
    try {
      const before = world.batches.length;
      const first_ms = await round();
      const committed = world.batches.slice(before).map(({ stream }) => stream);
      expect(committed[0]).toBe('event');
      // The patience was spent once: what comes after goes to the backlog without asking.
      expect(first_ms).toBeGreaterThanOrEqual(PATIENCE_MS - 20);
      expect(await rounds(5)).toBeLessThan(first_ms + PATIENCE_MS);
    } finally {
      influxd.resume();
    }
    await replayed();
    expect(await pointsStored()).toBe(9 * STATIONS);
  });

  it('replays after a restart of the cloud what the one before left', async () => {
    await influxd.kill('SIGTERM');
    await rounds(4);
    await world.stop();
    await influxd.restart();
    world = open();
    await world.telemetry.start();
    await replayed();
    expect(await pointsStored()).toBe(4 * STATIONS);
    expect(await world.rows('telemetry_backlog')).toEqual([]);
  });

  it('leaves samples at their stations when the backlog is full; events go on', async () => {
    await world.stop();
    world = open({ backlog_points_max: STATIONS });
    await influxd.kill('SIGTERM');
    await round();
    const [station] = stations;
    if (station === undefined) throw new Error('no station');
    const event = station.frame('event', station.event(accessEvent(at, 'granted')), 1);
    const sample = station.frame('sample', station.sample(reportSample(at + 7, 20)), 1);
    expect(await world.send(event, sample)).toEqual([
      { stream: 'event', epoch: station.epoch, through: 2 },
    ]);
    expect(world.ingest.counts.held_back).toBe(1);
    await influxd.restart();
    await replayed();
    expect(await world.send(sample)).toEqual([
      { stream: 'sample', epoch: station.epoch, through: 2 },
    ]);
    expect(await pointsStored()).toBe(STATIONS + 1);
  });
});
