/** Two clouds on one PostgreSQL: whatever one commits, is told or holds, the other shows, passes on or uses. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { CommandState, LiveMessage, StationDetail } from '@waystation/protocol/api';
import { Delivery } from '@waystation/protocol/gateway-link';
import { systemClock, type Clock } from '@waystation/runtime/clock';
import {
  createStationModel,
  doorEvent,
  snapshotEvent,
  stampAt,
  type StationModel,
} from '../ingest/station-model.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { readEvents, type EventReader } from './event-source.ts';
import { birth, GATEWAY, HOLDER_KEY, openWorldOn, type CloudWorld } from './world.ts';

const authorization = 'Bearer only-for-tests';
const keys_dir = mkdtempSync(join(tmpdir(), 'waystation-keys-'));
const clock = systemClock();
const readers: EventReader[] = [];
let postgres: TestPostgres;
let worlds: [CloudWorld<Clock>, CloudWorld<Clock>];
let bases: string[];
let cookie: string;
let station: StationModel;

const openCloud = () => openWorldOn(clock, { database: postgres.url, keys_dir });

beforeAll(async () => {
  postgres = await startPostgres();
  // At the same moment, on an empty database and without keys.
  worlds = await Promise.all([openCloud(), openCloud()]);
  bases = await Promise.all(
    worlds.map(async ({ cloud }) => `http://127.0.0.1:${(await cloud.listen()).port}`),
  );
  cookie = await worlds[0].signIn('admin', 'administrator', '37');
  station = createStationModel(DEMO_STATION, 'aaaaaaaaaaaa');
});
afterEach(() => readers.splice(0).forEach((reader) => reader.cut()));
afterAll(async () => {
  for (const world of worlds) await world.stop();
  await postgres.stop();
  rmSync(keys_dir, { recursive: true });
});

async function read(cloud: 0 | 1, path: string, headers: Record<string, string>) {
  const reader = await readEvents(`${bases[cloud]}${path}`, headers);
  readers.push(reader);
  return reader;
}
const dial = (cloud: 0 | 1, gateway = GATEWAY) =>
  read(cloud, `/gateway/v1/commands?gateway=${gateway}`, { authorization });
const page = (cloud: 0 | 1, more: Record<string, string> = {}) =>
  read(cloud, '/api/v1/live', { cookie, ...more });
const deliveryOf = (kind: string) => (event: { data: unknown }) =>
  Delivery.parse(event.data).command.kind === kind;
const says = (test: (message: LiveMessage) => boolean) => (event: { data: unknown }) =>
  test(LiveMessage.parse(event.data));
const detail = async (cloud: 0 | 1) =>
  StationDetail.parse(
    (await worlds[cloud].ask(`/api/v1/stations/${DEMO_STATION}`, { cookie })).body,
  );
const post = (cloud: 0 | 1, url: string, body: object) =>
  worlds[cloud].ask(url, { method: 'POST', cookie, body });
const openDoor = async (cloud: 0 | 1) => {
  const url = `/api/v1/stations/${DEMO_STATION}/commands`;
  const { status, body } = await post(cloud, url, { kind: 'open', reason: 'locked out' });
  expect([status, body]).toMatchObject([202, {}]);
  return CommandState.parse(body).id;
};
const happen = async (cloud: 0 | 1) => {
  const at = clock.wall();
  const seq = station.event(station.records.event.length === 0 ? snapshotEvent(at) : doorEvent(at));
  await worlds[cloud].uplink(station.frame('event', seq, 1));
  return seq;
};
const polled = { timeout: 15_000 };

it('start at the same moment: one province, one set of keys, one status list', async () => {
  const { db } = worlds[0].cloud.database;
  const { n } = await db
    .selectFrom('station')
    .select((eb) => eb.fn.countAll<string>().as('n'))
    .executeTakeFirstOrThrow();
  expect(Number(n)).toBe(shandongStations(1).length);
  const [first, second] = [worlds[0].cloud.province.trust, worlds[1].cloud.province.trust];
  expect(Buffer.from(first.keySet().body).equals(second.keySet().body)).toBe(true);
  expect(first.versions()).toEqual(second.versions());
  await expect
    .poll(() => worlds.map(({ cloud }) => cloud.province.peers.counts.neighbours), polled)
    .toEqual([1, 1]);
  // The second look after the start would cover for hints that do not work.
  await expect
    .poll(() => worlds.every(({ cloud }) => cloud.province.peers.counts.anew > 0), polled)
    .toBe(true);
});

it('show on every page what any of them has committed', async () => {
  const pages = [await page(0), await page(1)];
  await dial(0);
  await worlds[1].presence(DEMO_STATION, birth());
  for (const cloud of [0, 1] as const) {
    const seq = await happen(cloud);
    for (const reader of pages)
      await reader.until(says((said) => said.type === 'event' && said.event.seq === seq));
  }
  for (const reader of pages) await reader.until(says(({ type }) => type === 'states'));
  for (const cloud of [0, 1] as const)
    await expect.poll(async () => (await detail(cloud)).status, polled).toBe('open');
});

it('bring an order to the station whichever of them was asked and whichever holds the gateway', async () => {
  const gateway = await dial(0);
  await worlds[0].presence(DEMO_STATION, birth());
  const pages = [await page(0), await page(1)];
  for (const cloud of [0, 1] as const) {
    const id = await openDoor(cloud);
    const is = (status: string) =>
      says(
        (said) =>
          said.type === 'command' && said.command.id === id && said.command.status === status,
      );
    for (const reader of pages) await reader.until(is('sent'));
    const { data } = await gateway.until((event) => {
      const { command } = Delivery.parse(event.data);
      return command.kind === 'open' && command.id === id;
    });
    expect(data).toMatchObject({ station: DEMO_STATION });
    const seq = station.event({
      kind: 'command',
      ...stampAt(clock.wall()),
      id,
      status: 'succeeded',
    });
    await worlds[cloud].uplink(station.frame('event', seq, 1));
    for (const reader of pages) await reader.until(is('succeeded'));
  }
  const orders = gateway.events.filter(deliveryOf('open'));
  expect(orders).toHaveLength(2);
});

it('hand an order on when the gateway dials another one in time', async () => {
  const first = await dial(0);
  await worlds[0].presence(DEMO_STATION, birth());
  const id = await openDoor(1);
  await first.until(deliveryOf('open'));
  first.cut();
  const second = await dial(1);
  const { data } = await second.until(deliveryOf('open'));
  expect(data).toMatchObject({ command: { id } });
});

it('bring keys and revocations to all stations, whichever made them', async () => {
  const gateway = await dial(0);
  const versions = { key_set_version: 0, status_list_version: 0 };
  await worlds[1].presence(DEMO_STATION, birth('bbbbbbbbbbbbbbbb', versions), clock.wall());
  await gateway.until(deliveryOf('keySet'));
  const { body } = await post(1, '/api/v1/members', { name: '李明', holder_key: HOLDER_KEY });
  const { index } = z.object({ index: z.int() }).parse(body);
  expect((await post(1, `/api/v1/cards/${index}/revoke`, { reason: 'lost' })).status).toBe(204);
  const { version } = worlds[1].cloud.province.trust.statusList();
  await gateway.until(({ data }) => {
    const { command } = Delivery.parse(data);
    return command.kind === 'statusList' && command.version === version;
  });
  expect(worlds[0].cloud.province.trust.statusList().version).toBe(version);
});

it('tell a page that comes from another one to read everything again', async () => {
  const first = await page(0);
  const { id } = await first.until(says(({ type }) => type === 'hello'));
  const second = await page(1, { 'last-event-id': id ?? '' });
  await second.until(says(({ type }) => type === 'resync'));
});

it('give up on silent orders together', async () => {
  await dial(0);
  await worlds[0].presence(DEMO_STATION, birth('bbbbbbbbbbbbbbbb'), clock.wall());
  const pages = [await page(0), await page(1)];
  const id = await openDoor(1);
  const { pool } = worlds[0].cloud.database;
  await pool.query(`update command set deadline_at = now() - interval '1 hour' where id = $1`, [
    id,
  ]);
  await Promise.all(worlds.map(({ cloud }) => cloud.province.desk.expire()));
  for (const reader of pages)
    await reader.until(
      says(
        (said) =>
          said.type === 'command' && said.command.id === id && said.command.status === 'unknown',
      ),
    );
});

it('miss nothing while notifications are lost, and after a bulletin nobody can read', async () => {
  const { pool } = worlds[0].cloud.database;
  const second = await page(1);
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waystation-listener'`,
  );
  const seq = await happen(0);
  await second.until(says((said) => said.type === 'event' && said.event.seq === seq));
  await pool.query(`insert into bulletin (cloud, body) values ('newer', '{"shelves": [1]}')`);
  await second.until(says(({ type }) => type === 'resync'));
});

it('believe a gateway only while somebody holds it', async () => {
  const gateway = await dial(0);
  await worlds[1].presence(DEMO_STATION, birth('cccccccccccccccc'), clock.wall());
  await expect.poll(async () => (await detail(1)).status, polled).toBe('open');
  gateway.cut();
  await worlds[0].stop();
  await expect.poll(async () => (await detail(1)).status, polled).toBe('unknown');
  expect(worlds[1].cloud.province.peers.counts.neighbours).toBe(0);
  const refused = await post(1, `/api/v1/stations/${DEMO_STATION}/commands`, {
    kind: 'open',
    reason: 'test',
  });
  expect(refused.body).toMatchObject({ message: 'the gateway of this station is away' });
  worlds[0] = await openCloud();
});

it('say that they are not ready while the database is away or silent', async () => {
  const ready = async () => (await worlds[1].ask('/readyz')).status;
  expect(await ready()).toBe(200);
  postgres.pause();
  expect(await ready()).toBe(503);
  postgres.resume();
  await expect.poll(ready, polled).toBe(200);
});
