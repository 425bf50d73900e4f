/** Two clouds behind one address and two gateways on one broker, one of each killed under load: nothing is missing, nothing twice. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { LiveMessage } from '@waystation/protocol/api';
import { mosquittoAcl } from '@waystation/protocol/topics';
import { parseStationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { signStationToken } from '@waystation/runtime/station-token';
import { localKeys } from '@waystation/scripts/local/keys';
import type { Member } from '@waystation/scripts/local/member';
import { readEvents, type EventReader } from '../cloud/event-source.ts';
import { startBalancer, type TestBalancer } from '../servers/balancer.ts';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startMosquitto } from '../servers/mosquitto.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { freePort, temporaryDirectory } from '../servers/process.ts';
import { countPoints, differences, query, readCommitted } from './committed.ts';
import {
  CommandAnswer,
  someStations,
  Started,
  startTestStack,
  until,
  type Head,
  type TestStack,
} from './local-stack.ts';

const ISSUED_AT_S = 1_790_000_000;
const FLEET_SIZE = 300;
const FLEET_PACE = {
  report_interval_ms: 10_000,
  poll_interval_ms: 1_000,
  events_per_station_day: 20_000,
};
const AT_REST = {
  report_interval_ms: 3_600_000,
  poll_interval_ms: 1_000,
  events_per_station_day: 0,
};
const SETTLE_ATTEMPTS = 5;
const VISITS_EACH = 8;
const ORDERS_EACH = 3;

const clock = systemClock();
const directory = temporaryDirectory('growth');
const started = new Started();
let postgres: TestPostgres;
let influxd: TestInfluxd;
let balancer: TestBalancer;
let system: TestStack;
let member: Member;
let clouds: string[];

beforeAll(async () => {
  const keys = localKeys(directory.path);
  const key = createPrivateKey(readFileSync(keys.station_token_private_file));
  const codes = [DEMO_STATION, ...someStations(FLEET_SIZE)].flatMap(
    (code) => parseStationCode(code) ?? [],
  );
  const tokens = codes.map((station) => [
    station,
    signStationToken(key, { station, issued_at_s: ISSUED_AT_S }),
  ]);
  const secret = (name: string, text: string) => {
    writeFileSync(join(directory.path, name), `${text}\n`);
    return join(directory.path, name);
  };
  [postgres, influxd] = await Promise.all([startPostgres(), startInfluxd()]);
  started.add(postgres);
  started.add(influxd);
  const broker = started.add(
    await startMosquitto({
      accounts: { gateways: 'only-for-tests', ...Object.fromEntries(tokens) },
      acl: mosquittoAcl('gateways'),
    }),
  );
  const ports = [await freePort(), await freePort()] as const;
  balancer = started.add(await startBalancer(ports));
  clouds = ports.map((port) => `http://127.0.0.1:${port}`);
  const { url, database, username } = influxd;
  system = started.add(
    await startTestStack({
      data_dir: directory.path,
      database: postgres.url,
      influx: { url, database, username, password_file: secret('influx', influxd.password) },
      broker: {
        url: broker.url,
        username: 'gateways',
        password_file: secret('broker', 'only-for-tests'),
      },
      gateways: 2,
      http_port: ports[0],
      second_cloud: { http_port: ports[1], address: balancer.url },
      fleet_size: FLEET_SIZE,
      fleet_pace: FLEET_PACE,
      wall_clock: () => ISSUED_AT_S * 1000, // the tokens that Mosquitto was told
    }),
  );
  member = await system.member('growth');
});
afterAll(async () => {
  await started.stop();
  directory.remove();
});

/** A page of the console on one cloud, by what it was told. */
const openPage = async (cloud: string) => ({
  reader: await readEvents(`${cloud}/api/v1/live`, {}),
});
const isAccess = (said: LiveMessage) =>
  said.type === 'event' && said.event.station === DEMO_STATION && said.event.kind === 'access';
const accessesSeen = (reader: EventReader) =>
  reader.events.filter(({ data }) => isAccess(LiveMessage.parse(data))).length;

let orders = 0;
/** An order at this cloud; asked again while the station's gateway has just died. */
async function openFromAfar(cloud: string): Promise<string> {
  const given = await until('the order is taken', async () => {
    const answer = await fetch(`${cloud}/api/v1/stations/${DEMO_STATION}/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'open', reason: 'growth' }),
    });
    return answer.status === 202 && CommandAnswer.parse(await answer.json());
  });
  orders += 1;
  const { status } = await until('the station answers', async () => {
    const answer = await fetch(`${cloud}/api/v1/commands/${given.id}`);
    const command = CommandAnswer.parse(await answer.json());
    return command.status !== 'sent' && command.status !== 'received' && command;
  });
  expect(status).toBe('succeeded');
  return given.id;
}
let visits = 0;
async function comeAndGo(): Promise<void> {
  for (let n = 0; n < VISITS_EACH; n += 1) {
    expect(await system.visit(member)).toMatchObject({ outcome: 'granted' });
    visits += 1;
  }
}
const accessRows = async () =>
  Number(
    (
      await query(
        postgres.url,
        `select count(*)::int as n from event join station on station.id = station_id
         where code = '${DEMO_STATION}' and event.kind = 'access' and body->>'outcome' = 'granted'`,
      )
    )[0]?.['n'],
  );
/** Which cloud holds the stream of a gateway of the broker. */
const holders = async () =>
  z
    .array(z.object({ n: z.int() }))
    .parse(
      await query(postgres.url, 'select count(*)::int as n from gateway_stream group by cloud'),
    ).length;

/** Stops the stations and compares. What came in the very last moment is sent after another start, by a fleet at rest. */
async function settle(): Promise<Head[]> {
  const behind = async (heads: readonly Head[]) =>
    differences(heads, await readCommitted(postgres.url));
  let heads = await system.heads();
  for (
    let attempt = 1;
    (await behind(heads)).length > 0 && attempt < SETTLE_ATTEMPTS;
    attempt += 1
  ) {
    const last = heads;
    system.stack.options.fleet_pace = AT_REST;
    await Promise.all([system.stack.restart('demo-edge'), system.stack.restart('fleet')]);
    await until('what was left is committed', async () => {
      const through = new Map(
        (await readCommitted(postgres.url)).map((row) => [
          `${row.station} ${row.stream} ${row.epoch}`,
          row.through,
        ]),
      );
      return last.every(
        ({ station, stream, epoch, head }) =>
          head === 0 || (through.get(`${station} ${stream} ${epoch}`) ?? 0) >= head,
      );
    });
    heads = await system.heads();
  }
  expect(await behind(heads)).toEqual([]);
  return heads;
}

test('a gateway and a cloud are killed under load; records, orders and pages do not notice', async () => {
  const pages = await Promise.all(clouds.map(openPage));
  await until('both clouds hold a gateway, or one holds both', async () => (await holders()) > 0);
  await comeAndGo();
  for (const cloud of clouds) await openFromAfar(cloud);
  for (const { reader } of pages)
    await until('every page saw every visit', () => accessesSeen(reader) >= visits + orders, 5_000);

  await system.kill('gateway');
  await comeAndGo();
  for (let n = 0; n < ORDERS_EACH; n += 1) await openFromAfar(clouds[n % 2] ?? '');
  await system.stack.restart('gateway');

  const survivor = pages[1]?.reader;
  const resyncs = () =>
    survivor?.events.filter(({ data }) => LiveMessage.parse(data).type === 'resync').length;
  const shown = () => (survivor === undefined ? 0 : accessesSeen(survivor));
  const resyncs_before = resyncs() ?? 0;
  await system.kill('cloud');
  // Wherever the gateways post, what is committed from now on is shown by this one.
  const shown_before = shown();
  await comeAndGo();
  for (let n = 0; n < ORDERS_EACH; n += 1) await openFromAfar(clouds[1] ?? '');
  await until(
    'the page of the survivor saw all that was committed meanwhile',
    () => shown() >= shown_before + VISITS_EACH + ORDERS_EACH,
    5_000,
  );
  // The dead one may have kept something to itself.
  await until('pages are told to read again', () => (resyncs() ?? 0) > resyncs_before);
  await system.stack.restart('cloud');
  const again = await openPage(clouds[0] ?? '');
  await comeAndGo();
  for (const cloud of clouds) await openFromAfar(cloud);
  await until(
    'the page of the new cloud sees what the gateways post to either',
    () => accessesSeen(again.reader) >= VISITS_EACH + 2,
    5_000,
  );
  await until(
    'everything of the demo station is committed',
    async () => (await accessRows()) === visits + orders,
  );
  for (const { reader } of [...pages, again]) reader.cut();

  const heads = await settle();
  expect(await query(postgres.url, 'select reason from dead_letter')).toEqual([]);
  const executed = await query(
    postgres.url,
    `select body->>'id' as id from event where event.kind = 'command' and body->>'status' = 'succeeded' group by 1 having count(*) <> 1`,
  );
  expect(executed).toEqual([]);
  const points = await countPoints(influxd);
  const committed = heads.filter(({ stream }) => stream === 'sample');
  expect(committed.filter(({ station, head }) => points.get(station) !== head)).toEqual([]);
  const sum = (stream: string) =>
    heads.filter((head) => head.stream === stream).reduce((all, { head }) => all + head, 0);
  console.log(
    `${FLEET_SIZE + 1} stations: ${sum('event')} events and ${sum('sample')} samples committed, 0 lost, 0 duplicated; ` +
      `${visits} visits, ${orders} of ${orders} orders executed once; connections by cloud: ${[...balancer.given.values()].join(' + ')}; ` +
      `${Math.round(clock.mono() / 1000)} s`,
  );
});
