/** Who gets in, and how far he sees: sign-in, roles, other sites' pages, visitors, and the organisation's subtree. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { parseStationCode } from '@waystation/protocol/station-code';
import { z } from 'zod';
import {
  birth,
  GATEWAY,
  HOLDER_KEY,
  openWorld,
  type AskOptions,
  type CloudWorld,
} from './world.ts';

/** In 任城区, the county of the account; and in 历下区, a county it must never see. */
const OWN = DEMO_STATION;
const FOREIGN = parseStationCode('370102001M00011');
const Routes = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

let world: CloudWorld;
beforeAll(async () => {
  world = await openWorld();
}, 120_000);
afterAll(() => world.stop());

/** Every documented route as [method, path with its parameters]. */
async function documentedRoutes(): Promise<[string, string][]> {
  const { body } = await world.ask('/api/openapi.json');
  return Object.entries(Routes.parse(body).paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  );
}

/** A sensible call of each route, about one station, organisation, command and card. */
const CALLS: Record<string, (about: About) => { url: string; body?: object }> = {
  'POST /api/v1/session': () => ({ url: '/api/v1/session', body: { account: 'x', password: 'x' } }),
  'GET /api/v1/session': () => ({ url: '/api/v1/session' }),
  'DELETE /api/v1/session': () => ({ url: '/api/v1/session' }),
  'GET /api/v1/stations': ({ name }) => ({
    url: `/api/v1/stations?search=${encodeURIComponent(name)}`,
  }),
  'GET /api/v1/stations/index': () => ({ url: '/api/v1/stations/index' }),
  'GET /api/v1/stations/states': () => ({ url: '/api/v1/stations/states' }),
  'GET /api/v1/stations/{code}': ({ station }) => ({ url: `/api/v1/stations/${station}` }),
  'GET /api/v1/stations/{code}/events': ({ station }) => ({
    url: `/api/v1/stations/${station}/events`,
  }),
  'GET /api/v1/stations/{code}/series': ({ station }) => ({
    url: `/api/v1/stations/${station}/series?measurement=co2_ppm`,
  }),
  'POST /api/v1/stations/{code}/commands': ({ station }) => ({
    url: `/api/v1/stations/${station}/commands`,
    body: { kind: 'open', reason: 'test' },
  }),
  'GET /api/v1/commands/{id}': ({ command }) => ({ url: `/api/v1/commands/${command}` }),
  'GET /api/v1/organisations/{id}': ({ organisation }) => ({
    url: `/api/v1/organisations/${organisation}`,
  }),
  'GET /api/v1/organisations/{id}/children': ({ organisation }) => ({
    url: `/api/v1/organisations/${organisation}/children`,
  }),
  'GET /api/v1/usage/daily': ({ station }) => ({ url: `/api/v1/usage/daily?station=${station}` }),
  'GET /api/v1/live': () => ({ url: '/api/v1/live' }),
  'POST /api/v1/members': ({ organisation, holder_key }) => ({
    url: '/api/v1/members',
    body: { name: 'x', organisation, holder_key },
  }),
  'POST /api/v1/cards/{index}/revoke': ({ card }) => ({
    url: `/api/v1/cards/${card}/revoke`,
    body: { reason: 'test' },
  }),
};
/** Its answers concern the caller alone, or it streams: proved in live.test.ts. */
const OF_ONESELF = [
  'POST /api/v1/session',
  'GET /api/v1/session',
  'DELETE /api/v1/session',
  'GET /api/v1/live',
];

interface About {
  station: string;
  name: string;
  organisation: number;
  command: string;
  card: number;
  holder_key: string;
}

async function foreignThings(): Promise<About> {
  const admin = await world.signIn('jinan', 'administrator', '3701');
  const post = (url: string, body: object) =>
    world.ask(url, { method: 'POST', cookie: admin, body });
  world.cloud.province.gateways.connect(GATEWAY, {
    send: () => Promise.resolve(true),
    end: () => {},
  });
  if (FOREIGN === null) throw new Error('not a station code');
  await world.presence(FOREIGN, birth());
  const command = await post(`/api/v1/stations/${FOREIGN}/commands`, {
    kind: 'open',
    reason: 'test',
  });
  const member = await post('/api/v1/members', { name: 'x', holder_key: HOLDER_KEY });
  const detail = await world.ask(`/api/v1/stations/${FOREIGN}`, { cookie: admin });
  return {
    station: FOREIGN,
    name: z.object({ name: z.string() }).parse(detail.body).name,
    organisation: 2,
    command: z.object({ id: z.string() }).parse(command.body).id,
    card: z.object({ index: z.int() }).parse(member.body).index,
    holder_key: HOLDER_KEY,
  };
}

describe('a county account', () => {
  it('never sees another county by any documented route', async () => {
    const foreign = await foreignThings();
    const cookie = await world.signIn('rencheng', 'administrator', '370811');
    const routes = (await documentedRoutes()).map(([method, path]) => `${method} ${path}`);
    expect(routes.toSorted()).toEqual(Object.keys(CALLS).toSorted());
    for (const route of routes.filter((route) => !OF_ONESELF.includes(route))) {
      const { url, body } = CALLS[route]?.(foreign) ?? { url: '' };
      const method = route.split(' ', 1)[0] as 'GET' | 'POST';
      const answer = await world.ask(url, { method, cookie, ...(body ? { body } : {}) });
      const text = JSON.stringify(answer.body);
      expect([200, 404], `${route}: ${text}`).toContain(answer.status);
      if (answer.status === 404) continue;
      expect(text, route).not.toContain('370102');
      expect(text, route).not.toContain(foreign.name);
    }
  });

  it('sees its own, by an index of its own', async () => {
    const cookie = await world.signIn('rencheng', 'administrator', '370811');
    const { body } = await world.ask('/api/v1/stations/index', { cookie });
    const codes = z.object({ code: z.array(z.string()) }).parse(body).code;
    expect(codes.every((code) => code.startsWith('370811'))).toBe(true);
    const detail = await world.ask(`/api/v1/stations/${OWN}`, { cookie });
    expect(detail.body).toMatchObject({ code: OWN, index: codes.indexOf(OWN) });
    const states = await world.ask('/api/v1/stations/states', { cookie });
    expect(z.object({ states: z.string() }).parse(states.body).states).toHaveLength(codes.length);
    const list = await world.ask('/api/v1/stations?organisation=1', { cookie });
    expect(list.status).toBe(404);
  });

  it('is not fooled by a path that begins alike', async () => {
    const { db } = world.cloud.database;
    const own = await db
      .selectFrom('organisation')
      .select('path')
      .where('adcode', '=', '370811')
      .executeTakeFirstOrThrow();
    const { id } = await db
      .insertInto('organisation')
      .values({ parent: 1, level: 'county', adcode: '379999', name: '邻', path: `${own.path}9` })
      .returning('id')
      .executeTakeFirstOrThrow();
    const cookie = await world.signIn('rencheng', 'administrator', '370811');
    expect((await world.ask(`/api/v1/organisations/${id}`, { cookie })).status).toBe(404);
    await db.deleteFrom('organisation').where('id', '=', id).execute();
  });
});

describe('a stranger', () => {
  it('gets 401 everywhere but at health, contract and login', async () => {
    for (const [method, path] of await documentedRoutes()) {
      if (`${method} ${path}` === 'POST /api/v1/session') continue;
      const url = path.replaceAll(/\{\w+\}/g, '1');
      const answer = await world.ask(url, {
        method: method as 'GET',
        body: method === 'POST' ? {} : undefined,
      });
      expect(answer.status, `${method} ${path}`).toBe(401);
    }
    for (const url of ['/api/v1/no-such-thing', '/gateway/v1/commands?gateway=g']) {
      expect((await world.ask(url)).status, url).toBe(401);
    }
    for (const url of ['/healthz', '/readyz', '/metrics', '/api/openapi.json']) {
      expect((await world.ask(url)).status, url).toBe(200);
    }
  });

  it('who guesses passwords is held up', async () => {
    const body = { account: 'jinan', password: 'guess' };
    const attempts = await Promise.all(
      Array.from({ length: 12 }, () => world.ask('/api/v1/session', { method: 'POST', body })),
    );
    const held = attempts.filter(({ status }) => status === 429);
    expect(held.length).toBeGreaterThan(0);
    expect(held[0]?.body).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  });
});

describe('roles', () => {
  it('a viewer opens no door, an operator enrols nobody', async () => {
    const viewer = await world.signIn('viewer', 'viewer', '37');
    const open = { method: 'POST', body: { kind: 'open', reason: 'test' } } as const;
    const url = `/api/v1/stations/${OWN}/commands`;
    expect(await world.ask(url, { ...open, cookie: viewer })).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN' },
    });
    const operator = await world.signIn('operator', 'operator', '37');
    const body = { name: 'x', holder_key: HOLDER_KEY };
    const enrol = await world.ask('/api/v1/members', { method: 'POST', cookie: operator, body });
    expect(enrol.status).toBe(403);
  });
});

describe('a page of another site', () => {
  const post = (cookie: string, headers: Record<string, string>): AskOptions => ({
    method: 'DELETE',
    cookie,
    headers: { host: 'stations.example', ...headers },
  });
  it.each([
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://stations.example' }, 204],
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://elsewhere.example' }, 204],
  ])('%j -> %d', async (headers, status) => {
    const cookie = await world.signIn('cross', 'viewer', '37');
    expect((await world.ask('/api/v1/session', post(cookie, headers))).status).toBe(status);
  });
});

describe('headers', () => {
  it('allow nothing but our own scripts', async () => {
    const { headers } = await world.ask('/healthz');
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("default-src 'none'");
    expect(policy.match(/unsafe-inline/g)).toHaveLength(1);
    expect(headers['x-content-type-options']).toBe('nosniff');
  });
});

describe('a visitor', () => {
  let local: CloudWorld;
  beforeAll(async () => {
    local = await openWorld({ demo_visitor: true, seed: { stations: 'shandong' } });
  }, 120_000);
  afterAll(() => local.stop());
  const from = (remoteAddress: string, host: string) =>
    local.cloud.app.inject({ url: '/api/v1/session', remoteAddress, headers: { host } });

  it.each([
    ['127.0.0.1', '127.0.0.1:8080', 200],
    ['::1', '[::1]:8080', 200],
    ['::ffff:127.0.0.1', 'localhost:8080', 200],
    ['10.0.0.7', '127.0.0.1:8080', 401],
    // The name of a foreign page that was made to point here.
    ['127.0.0.1', 'evil.example:8080', 401],
  ])('from %s asking for %s -> %d', async (address, host, status) => {
    const answer = await from(address, host);
    expect(answer.statusCode).toBe(status);
    if (status === 200)
      expect(answer.json()).toMatchObject({
        account: 'visitor',
        role: 'administrator',
        organisation_name: '山东省',
      });
  });
});
