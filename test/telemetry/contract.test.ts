/** One contract, three stores: a real influxd, PostgreSQL, PGlite. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '@waystation/cloud/database/open';
import { createInfluxTelemetry } from '@waystation/cloud/telemetry/influx';
import { createSqlTelemetry } from '@waystation/cloud/telemetry/sql';
import type { TelemetryPoint, TelemetryStore } from '@waystation/cloud/telemetry/store';
import { stationCode } from '@waystation/protocol/station-code';
import { openTestDatabase } from '../ingest/databases.ts';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';

const STATION = stationCode('370102001', 'W', 1);
const OTHER = stationCode('370102001', 'W', 2);
const T0 = Date.UTC(2026, 5, 1, 2, 0, 0);
const MINUTE = 60_000;

function point(at: number, values: TelemetryPoint['values'], station_id = 1): TelemetryPoint {
  const station = station_id === 1 ? STATION : OTHER;
  return { station, station_id, organisation_id: 7, at, values };
}

interface Fixture {
  open(): Promise<{ store: TelemetryStore; empty(): Promise<void>; end(): Promise<void> }>;
}

let influxd: TestInfluxd;
let postgres: TestPostgres;
beforeAll(async () => {
  [influxd, postgres] = await Promise.all([startInfluxd(), startPostgres()]);
});
afterAll(async () => {
  await Promise.all([influxd.stop(), postgres.stop()]);
});

function influxStore(more: { url?: string; password?: string; database?: string } = {}) {
  return createInfluxTelemetry({
    url: influxd.url,
    flavour: 1,
    database: influxd.database,
    username: influxd.username,
    password: influxd.password,
    timeout_ms: 5_000,
    ...more,
  });
}

async function sqlFixture(url: string) {
  const database: Database = await openTestDatabase(url);
  const store = createSqlTelemetry(database.pool);
  const empty = async () => {
    await database.pool.query('truncate telemetry');
  };
  return { store, empty, end: () => database.close() };
}

const FIXTURES: Record<string, Fixture> = {
  influxd: {
    open: async () => {
      const store = influxStore();
      const empty = async () => {
        await influxd.query('DROP SERIES FROM report');
      };
      return { store, empty, end: () => store.close() };
    },
  },
  PGlite: { open: () => sqlFixture('pglite:memory://') },
  PostgreSQL: { open: () => sqlFixture(postgres.url) },
};

describe.each(Object.entries(FIXTURES))('telemetry in %s', (_, fixture) => {
  let opened: Awaited<ReturnType<Fixture['open']>>;
  beforeAll(async () => {
    opened = await fixture.open();
  });
  beforeEach(() => opened.empty());
  afterAll(() => opened.end());

  const all = (measurement: 'co2_ppm' | 'temperature_cel', station_id = 1) =>
    opened.store.series({
      station: station_id === 1 ? STATION : OTHER,
      station_id,
      measurement,
      from: T0,
      to: T0 + 60 * MINUTE,
      points_max: 1_000,
    });

  it('gives back what it took, oldest first, of one station and one measurement', async () => {
    const later = point(T0 + MINUTE, { co2_ppm: 410.5, temperature_cel: -3.2 });
    const other = point(T0, { co2_ppm: 900 }, 2);
    expect(await opened.store.write([later, point(T0, { co2_ppm: 400 }), other])).toEqual([]);
    expect(await all('co2_ppm')).toEqual([
      [T0, 400],
      [T0 + MINUTE, 410.5],
    ]);
    expect(await all('temperature_cel')).toEqual([[T0 + MINUTE, -3.2]]);
    expect(await all('co2_ppm', 2)).toEqual([[T0, 900]]);
  });

  it('takes a point twice as once, in one write and in two', async () => {
    const twice = [point(T0, { co2_ppm: 400 }), point(T0, { co2_ppm: 400 })];
    await opened.store.write(twice);
    await opened.store.write(twice);
    expect(await all('co2_ppm')).toEqual([[T0, 400]]);
  });

  it('merges the fields of one moment; the last word on a field stands', async () => {
    await opened.store.write([point(T0, { co2_ppm: 400 }), point(T0, { temperature_cel: 21 })]);
    await opened.store.write([point(T0, { co2_ppm: 402 })]);
    expect(await all('co2_ppm')).toEqual([[T0, 402]]);
    expect(await all('temperature_cel')).toEqual([[T0, 21]]);
  });

  it('leaves out a report without values, and an empty write', async () => {
    expect(await opened.store.write([point(T0, {})])).toEqual([]);
    expect(await opened.store.write([])).toEqual([]);
    expect(await all('co2_ppm')).toEqual([]);
  });

  it('joins a long window to the mean of equal spans', async () => {
    const hour = (n: number) => T0 + n * 60 * MINUTE;
    const points = [400, 500, 600, 700].map((co2_ppm, half) =>
      point(hour(0) + half * 30 * MINUTE, { co2_ppm }),
    );
    await opened.store.write(points);
    const query = {
      station: STATION,
      station_id: 1,
      measurement: 'co2_ppm' as const,
      points_max: 2,
    };
    expect(await opened.store.series({ ...query, from: hour(0), to: hour(2) })).toEqual([
      [hour(0), 450],
      [hour(1), 650],
    ]);
  });

  it('takes a large batch whole', async () => {
    const points = Array.from({ length: 12_000 }, (_, n) =>
      point(T0 + n, { co2_ppm: 400 + (n % 5) }, 2),
    );
    expect(await opened.store.write(points)).toEqual([]);
    const query = {
      station: OTHER,
      station_id: 2,
      measurement: 'co2_ppm' as const,
      points_max: 20_000,
    };
    expect(await opened.store.series({ ...query, from: T0, to: T0 + 12_000 })).toHaveLength(12_000);
  });

  it('reads nothing where nothing is', async () => {
    expect(await all('co2_ppm')).toEqual([]);
  });
});

describe('influxd in trouble', () => {
  it('finds the poison among its neighbours, which are stored', async () => {
    const store = influxStore();
    await influxd.query('DROP SERIES FROM report');
    await fetch(`${influxd.url}/write?db=telemetry&precision=ms`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${influxd.username}:${influxd.password}`)}` },
      body: `report,org=7,station=${OTHER} cups_count="a text" ${T0}`, // this measurement is text from now on, within its shard
    });
    const bad = point(T0 + 5, { cups_count: 12 });
    const good = Array.from({ length: 30 }, (_, n) => point(T0 + 10 + n, { co2_ppm: n }));
    const distant = point(9_300_000_000_000, { co2_ppm: 1 });
    const rejected = await store.write([...good.slice(0, 11), bad, distant, ...good.slice(11)]);
    expect(rejected.map((r) => r.point).sort((a, b) => a.at - b.at)).toEqual([bad, distant]);
    const query = {
      station: STATION,
      station_id: 1,
      measurement: 'co2_ppm' as const,
      points_max: 100,
    };
    expect(await store.series({ ...query, from: T0, to: T0 + 100 })).toHaveLength(30);
    await influxd.query('DROP MEASUREMENT report');
    await store.close();
  });

  it.each([
    ['nobody listens', { url: 'http://127.0.0.1:1' }],
    ['the password is wrong', { password: 'wrong' }],
    ['there is no such database', { database: 'none' }],
  ])('asks to try again when %s', async (_, more) => {
    const store = influxStore(more);
    await expect(store.write([point(T0, { co2_ppm: 1 })])).rejects.toMatchObject({
      code: 'TELEMETRY_UNAVAILABLE',
    });
    const query = {
      station: STATION,
      station_id: 1,
      measurement: 'co2_ppm' as const,
      points_max: 10,
    };
    await expect(store.series({ ...query, from: T0, to: T0 + 1 })).rejects.toMatchObject({
      code: 'TELEMETRY_UNAVAILABLE',
    });
    await store.close();
  });

  it('gives up on a frozen server in time, and works again when it thaws', async () => {
    const store = createInfluxTelemetry({
      url: influxd.url,
      flavour: 1,
      database: influxd.database,
      username: influxd.username,
      password: influxd.password,
      timeout_ms: 300,
    });
    await store.write([point(T0, { co2_ppm: 1 })]);
    influxd.pause();
    for (let n = 0; n < 6; n += 1) {
      await expect(store.write([point(T0 + n, { co2_ppm: n })])).rejects.toMatchObject({
        code: 'TELEMETRY_UNAVAILABLE',
      });
    }
    influxd.resume();
    expect(await store.write([point(T0, { co2_ppm: 5 })])).toEqual([]);
    await store.close();
  });
});
