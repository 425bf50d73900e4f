/** What the API answers: shapes as documented, problems that name the field, lists, history, curves, figures. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_STATION, DEMO_STATION_NAME } from '@waystation/cloud/seed/demo-station';
import {
  EventPage,
  OrganisationRow,
  Problem,
  Series,
  Session,
  StationDetail,
  StationIndex,
  StationPage,
  StationStates,
  UsageDay,
} from '@waystation/protocol/api';
import { z } from 'zod';
import {
  accessEvent,
  createStationModel,
  doorEvent,
  reportSample,
  snapshotEvent,
} from '../ingest/station-model.ts';
import { birth, GATEWAY, openWorld, type CloudWorld } from './world.ts';

let world: CloudWorld;
let cookie: string;
beforeAll(async () => {
  world = await openWorld();
  cookie = await world.signIn('province', 'viewer', '37');
}, 120_000);
afterAll(() => world.stop());

async function read<S extends z.ZodType>(
  schema: S,
  url: string,
  as = cookie,
): Promise<z.output<S>> {
  const { status, body } = await world.ask(url, { cookie: as });
  expect(status, JSON.stringify(body)).toBe(200);
  return schema.parse(body);
}

describe('sessions', () => {
  it('sign in, say who I am, sign out', async () => {
    const mine = await world.signIn('officer', 'operator', '3708');
    expect(await read(Session, '/api/v1/session', mine)).toMatchObject({
      account: 'officer',
      role: 'operator',
      organisation_name: '济宁市',
      version: '1.2.3',
    });
    const out = await world.ask('/api/v1/session', { method: 'DELETE', cookie: mine });
    expect(out.status).toBe(204);
    expect((await world.ask('/api/v1/session', { cookie: mine })).status).toBe(401);
  });

  it('are HttpOnly, SameSite=Lax and end by themselves', async () => {
    const body = { account: 'province', password: 'only-for-tests' };
    const answer = await world.ask('/api/v1/session', { method: 'POST', body });
    expect(answer.headers['set-cookie']).toMatch(
      /; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/,
    );
    const late = String(answer.headers['set-cookie']).split(';', 1)[0] ?? '';
    world.clock.stepWall(12 * 3_600_000);
    expect((await world.ask('/api/v1/session', { cookie: late })).status).toBe(401);
    cookie = await world.signIn('province', 'viewer', '37');
  });

  it('refuse a wrong password as they refuse a stranger', async () => {
    const attempt = (account: string) =>
      world.ask('/api/v1/session', { method: 'POST', body: { account, password: 'wrong' } });
    const [known, stranger] = [await attempt('province'), await attempt('nobody')];
    expect(known.status).toBe(401);
    expect(stranger.body).toEqual(known.body);
  });
});

describe('problems', () => {
  it.each([
    ['/api/v1/stations?limit=1000', 'querystring.limit'],
    ['/api/v1/stations?colour=red', 'querystring.colour'],
    ['/api/v1/stations/370811011W0001Z', 'params.code'],
    [`/api/v1/stations/${DEMO_STATION}/series?measurement=joy`, 'querystring.measurement'],
    [`/api/v1/stations/${DEMO_STATION}/series?measurement=co2_ppm&from=5&to=4`, 'querystring.from'],
    [`/api/v1/stations/${DEMO_STATION}/events?before=yesterday`, 'querystring.before'],
    ['/api/v1/usage/daily?from=2026-13-01', 'querystring.from'],
    ['/api/v1/usage/daily?from=2020-01-01', 'querystring.from'],
  ])('%s names %s', async (url, field) => {
    const { status, body } = await world.ask(url, { cookie });
    expect(status).toBe(400);
    const problem = Problem.parse(body);
    expect(problem).toMatchObject({ code: 'REQUEST_INVALID', field });
    expect(problem.operator).not.toBe('');
  });

  it('carry a request id, also where nothing is', async () => {
    const { status, body, headers } = await world.ask('/nowhere', { cookie });
    expect(status).toBe(404);
    Problem.parse(body);
    expect(headers['x-request-id']).toMatch(/^[0-9a-f]{16}$/);
  });

  it('name what is wrong with a body', async () => {
    const admin = await world.signIn('admin', 'administrator', '37');
    const post = (body: unknown, headers = {}) =>
      world.ask('/api/v1/members', { method: 'POST', cookie: admin, body, headers });
    expect((await post({ name: 'x' })).body).toMatchObject({ field: 'body.holder_key' });
    expect((await post({ name: 'x', holder_key: '', extra: 1 })).body).toMatchObject({
      field: 'body.extra',
    });
    expect(await post('{', { 'content-type': 'application/json' })).toMatchObject({ status: 400 });
    expect(await post('x', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 });
    expect(await post({ name: 'x'.repeat(70_000), holder_key: '' })).toMatchObject({ status: 413 });
  });
});

describe('stations', () => {
  it('page through the whole province without a gap or a double', async () => {
    const codes: string[] = [];
    let after = '';
    for (;;) {
      const page = await read(
        StationPage,
        `/api/v1/stations?kind=M&organisation=2&limit=200&after=${after}`,
      );
      expect(page.total).toBe(467);
      codes.push(...page.rows.map(({ code }) => code));
      if (page.next === null) break;
      after = page.next;
    }
    expect(codes).toHaveLength(467);
    expect(codes).toEqual([...new Set(codes)].sort());
  });

  it('are found by name, code and address; a wildcard is just a character', async () => {
    const search = (text: string) =>
      read(StationPage, `/api/v1/stations?search=${encodeURIComponent(text)}`);
    expect((await search(DEMO_STATION_NAME)).rows.map(({ code }) => code)).toEqual([DEMO_STATION]);
    expect((await search(DEMO_STATION.toLowerCase())).total).toBe(1);
    expect((await search('任城区古槐街道')).total).toBeGreaterThan(4);
    expect((await search('%')).total).toBe(0);
    expect((await search('_')).total).toBe(0);
  });

  it('as columns with an ETag, gzip where asked', async () => {
    const index = await read(StationIndex, '/api/v1/stations/index');
    expect(index.code).toHaveLength(10_659);
    const url = '/api/v1/stations/index';
    const first = await world.ask(url, { cookie });
    const etag = String(first.headers['etag']);
    const again = await world.ask(url, { cookie, headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
    const packed = await world.cloud.app.inject({
      url,
      headers: { cookie, 'accept-encoding': 'gzip' },
    });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(packed.rawPayload.length).toBeLessThan(250_000);
    const states = await read(StationStates, '/api/v1/stations/states');
    expect(states.version).toBe(index.version);
    expect(states.states).toMatch(/^[0-5]{10659}$/);
  });
});

describe('a station that reports', () => {
  const station = createStationModel(DEMO_STATION, 'aaaaaaaaaaaa');
  const at = () => world.clock.wall() - 1000;
  beforeAll(async () => {
    world.cloud.province.gateways.connect(GATEWAY, {
      send: () => Promise.resolve(true),
      end: () => {},
    });
    await world.presence(DEMO_STATION, birth());
    station.event(snapshotEvent(at(), { values: { occupancy_count: 2, water_level_percent: 60 } }));
    station.event(doorEvent(at() + 10));
    station.event({
      ...accessEvent(at() + 20, 'granted'),
      card: 7,
      org: 3,
      card_issued_at_s: 5,
    } as never);
    station.event(accessEvent(at() + 30, 'denied'));
    station.sample(reportSample(at() + 40, 21.5));
    const { status } = await world.uplink(
      station.frame('event', 1, 4),
      station.frame('sample', 1, 1),
    );
    expect(status).toBe(200);
    await world.flush();
  });

  it('shows in detail, in the list, by its status and in the tree', async () => {
    const detail = await read(StationDetail, `/api/v1/stations/${DEMO_STATION}`);
    expect(detail).toMatchObject({
      name: DEMO_STATION_NAME,
      city_name: '济宁市',
      county_name: '任城区',
      status: 'inUse',
      online: true,
      portal: 'open',
      occupancy_count: 2,
      water_level_percent: 60,
      devices: { controller: true },
      today: { openings: 1, denials: 1 },
    });
    expect(detail.values['temperature_cel']).toEqual({ value: 21.5, at: at() + 40 });
    const inUse = await read(StationPage, '/api/v1/stations?status=inUse');
    expect(inUse.rows.map(({ code }) => code)).toEqual([DEMO_STATION]);
    const states = await read(StationStates, '/api/v1/stations/states');
    expect(states.states.charAt(detail.index)).toBe('2');
    const cities = await read(z.array(OrganisationRow), '/api/v1/organisations/1/children');
    expect(cities.find(({ name }) => name === '济宁市')?.by_status).toEqual([877, 0, 1, 0, 0, 0]);
    expect(cities.reduce((sum, { stations }) => sum + stations, 0)).toBe(10_659);
  });

  it('has a history that never names a person, page by page', async () => {
    const url = `/api/v1/stations/${DEMO_STATION}/events`;
    const first = await read(EventPage, `${url}?limit=3`);
    expect(first.rows.map(({ kind, seq }) => `${kind} ${seq}`)).toEqual([
      'access 4',
      'access 3',
      'door 2',
    ]);
    expect(first.rows[1]?.summary).toEqual({
      outcome: 'granted',
      method: 'card',
      decision_us: 900,
    });
    expect(JSON.stringify(first)).not.toContain('"card":7');
    const second = await read(EventPage, `${url}?limit=3&before=${first.next}`);
    expect(second.rows.map(({ seq }) => seq)).toEqual([1]);
    expect(second.next).toBeNull();
  });

  it('has curves and daily figures', async () => {
    const url = `/api/v1/stations/${DEMO_STATION}/series?measurement=temperature_cel&from=${at() - 3_600_000}`;
    expect(await read(Series, url)).toEqual({
      measurement: 'temperature_cel',
      points: [[at() + 40, 21.5]],
    });
    const days = await read(z.array(UsageDay), '/api/v1/usage/daily?organisation=1');
    expect(days).toEqual([{ day: '2026-11-22', openings: 1, denials: 1 }]);
    const mine = await read(z.array(UsageDay), `/api/v1/usage/daily?station=${DEMO_STATION}`);
    expect(mine).toEqual(days);
  });
});
