/** The live stream over real sockets: nothing is missed over a cut, nothing is shown to the wrong account. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { LiveMessage, StationStates } from '@waystation/protocol/api';
import { createStationModel, doorEvent, snapshotEvent } from '../ingest/station-model.ts';
import { readEvents, type EventReader } from './event-source.ts';
import { birth, openWorld, type CloudWorld } from './world.ts';

let world: CloudWorld;
let base: string;
let cookie: string;
const readers: EventReader[] = [];
const station = createStationModel(DEMO_STATION, 'aaaaaaaaaaaa');
beforeAll(async () => {
  world = await openWorld({
    limits: { requests_per_minute: 6000, logins_per_minute: 100, live_connections: 3 },
  });
  const { port } = await world.cloud.listen();
  base = `http://127.0.0.1:${port}`;
  cookie = await world.signIn('jining', 'viewer', '3708');
  world.cloud.province.gateways.connect('gateway-test', {
    send: () => Promise.resolve(true),
    end: () => {},
  });
  await world.presence(DEMO_STATION, birth());
}, 120_000);
afterEach(async () => {
  readers.splice(0).forEach((reader) => reader.cut());
  while (world.cloud.province.hub.counts.connections > 0) await new Promise(setImmediate);
});
afterAll(() => world.stop());

async function watch(
  as = cookie,
  more: Record<string, string> = {},
  query = '',
): Promise<EventReader> {
  const reader = await readEvents(`${base}/api/v1/live${query}`, { cookie: as, ...more });
  readers.push(reader);
  return reader;
}
const message = (data: unknown) => LiveMessage.parse(data);
const isType = (type: LiveMessage['type']) => (event: { data: unknown }) =>
  message(event.data).type === type;
const isEvent = (seq: number) => (event: { data: unknown }) => {
  const said = message(event.data);
  return said.type === 'event' && said.event.seq === seq;
};
async function happen(): Promise<number> {
  const seq = station.event(
    station.records.event.length === 0
      ? snapshotEvent(world.clock.wall())
      : doorEvent(world.clock.wall()),
  );
  await world.uplink(station.frame('event', seq, 1));
  return seq;
}

it('says hello, then tells each event and each status once', async () => {
  const page = await watch();
  const seq = await happen();
  const { data } = await page.until(isEvent(seq));
  expect(data).toMatchObject({ type: 'event', event: { station: DEMO_STATION, kind: 'snapshot' } });
  await world.flush();
  const states = await page.until(isType('states'));
  const index = StationStates.parse((await world.ask('/api/v1/stations/states', { cookie })).body);
  const [[place, digit] = [-1, -1]] =
    message(states.data).type === 'states'
      ? (states.data as { changes: [number, number][] }).changes
      : [];
  expect(index.states.charAt(place)).toBe(String(digit));
  expect(page.events[0]?.data).toMatchObject({ type: 'hello', version: '1.2.3' });
});

it('after a cut goes on from the last id without a gap or a double', async () => {
  const before = await watch();
  const seen = [await happen(), await happen()];
  const last = await before.until(isEvent(seen[1] ?? 0));
  before.cut();
  const missed = [await happen(), await happen(), await happen()];
  const after = await watch(cookie, { 'last-event-id': last.id ?? '' });
  const next = await happen();
  await after.until(isEvent(next));
  const told = after.events
    .map(({ data }) => message(data))
    .flatMap((said) => (said.type === 'event' ? [said.event.seq] : []));
  expect(told).toEqual([...missed, next]);
  const ids = after.events.slice(1).map(({ id }) => Number(id));
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
});

it('goes on from the states that a page has fetched', async () => {
  const { body } = await world.ask('/api/v1/stations/states', { cookie });
  const { sequence } = StationStates.parse(body);
  const seq = await happen();
  const page = await watch(cookie, {}, `?after=${sequence}`);
  await page.until(isEvent(seq));
});

it('asks a page with a number of another life to fetch everything again', async () => {
  const page = await watch(cookie, { 'last-event-id': '17' });
  await page.until(isType('resync'));
});

it('tells a neighbour nothing', async () => {
  const neighbour = await watch(await world.signIn('jinan', 'viewer', '3701'));
  const own = await watch();
  await own.until(isEvent(await happen()));
  world.cloud.province.hub.beat();
  await neighbour.until(isType('beat'));
  expect(neighbour.events.map(({ data }) => message(data).type)).toEqual(['hello', 'beat']);
});

it('refuses a stranger and one page too many', async () => {
  const stranger = await watch('', {});
  expect(stranger.status).toBe(401);
  for (let page = 0; page < 3; page += 1) await (await watch()).until(isType('hello'));
  expect((await watch()).status).toBe(429);
});

it('lets go of a page whose session has ended', async () => {
  const mine = await world.signIn('leaver', 'viewer', '3708');
  const page = await watch(mine);
  await page.until(isType('hello'));
  await world.ask('/api/v1/session', { method: 'DELETE', cookie: mine });
  await world.clock.advance(61_000);
  await page.ended;
});
