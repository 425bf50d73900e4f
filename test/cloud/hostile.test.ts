/** Whatever stands in an address or a body, the answer is never a failure of the service's own. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { Problem } from '@waystation/protocol/api';
import { openWorld, type CloudWorld } from './world.ts';

let world: CloudWorld;
let cookie: string;
beforeAll(async () => {
  world = await openWorld({
    limits: { requests_per_minute: 100_000, logins_per_minute: 100_000, live_connections: 1 },
  });
  cookie = await world.signIn('admin', 'administrator', '37');
}, 120_000);
afterAll(() => world.stop());

/** Numbers at the edges of every width, texts with everything that ever broke one. */
const odd = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '1.5',
    '1e9',
    '2147483648',
    '9007199254740993',
    'NaN',
    'null',
    'true',
  ),
  fc.constantFrom(
    '\0',
    '%00',
    '%',
    '_',
    "'",
    '";--',
    '../..',
    '\ud800',
    '\u202e',
    '{}',
    '[]',
    '2026-02-30',
  ),
  fc.constantFrom(DEMO_STATION, '8640000000000001.1.1', '1.999999999.9999999999999999'),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.integer().map(String),
);
const PARAMETERS = [
  'organisation',
  'kind',
  'status',
  'search',
  'after',
  'limit',
  'measurement',
  'from',
  'to',
  'before',
  'station',
];
const target = fc.constantFrom<(text: string) => string>(
  () => '/api/v1/stations',
  (text) => `/api/v1/stations/${text}`,
  (text) => `/api/v1/stations/${text}/events`,
  () => `/api/v1/stations/${DEMO_STATION}/events`,
  () => `/api/v1/stations/${DEMO_STATION}/series`,
  (text) => `/api/v1/organisations/${text}`,
  (text) => `/api/v1/organisations/${text}/children`,
  (text) => `/api/v1/commands/${text}`,
  () => '/api/v1/usage/daily',
);

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

it('in addresses', async () => {
  const reached = { ok: 0, refused: 0 };
  const query = fc.array(fc.tuple(fc.constantFrom(...PARAMETERS), odd), { maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(target, odd, query, async (path, text, pairs) => {
      const search = pairs.map(([name, value]) => `${name}=${encoded(value)}`).join('&');
      const { status, body } = await world.ask(`${path(encoded(text))}?${search}`, { cookie });
      expect(status, JSON.stringify(body)).toBeLessThan(500);
      if (status >= 400) Problem.parse(body);
      reached[status < 400 ? 'ok' : 'refused'] += 1;
    }),
    { numRuns: 400 },
  );
  // A test that is always refused at the first gate proves little.
  expect(reached.ok).toBeGreaterThan(20);
  expect(reached.refused).toBeGreaterThan(100);
});

it('in bodies', async () => {
  const value = fc.oneof(
    odd,
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(odd, { maxLength: 2 }),
  );
  const field = fc.constantFrom(
    'name',
    'holder_key',
    'organisation',
    'kind',
    'reason',
    'account',
    'password',
    '__proto__',
  );
  const body = fc.oneof(fc.dictionary(field, value, { maxKeys: 4 }), value);
  const url = fc.constantFrom(
    '/api/v1/session',
    '/api/v1/members',
    '/api/v1/cards/1/revoke',
    `/api/v1/stations/${DEMO_STATION}/commands`,
  );
  await fc.assert(
    fc.asyncProperty(url, body, async (url, body) => {
      const answer = await world.ask(url, {
        method: 'POST',
        cookie,
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
      expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(500);
      Problem.parse(answer.body);
    }),
    { numRuns: 300 },
  );
});

it('in texts that pass every other check', async () => {
  const post = (reason: string) =>
    world.ask('/api/v1/cards/1/revoke', { method: 'POST', cookie, body: { reason } });
  for (const text of ['two\0lines', 'half \ud800 pair', 'a\nb']) {
    expect(await post(text)).toMatchObject({ status: 400, body: { field: 'body.reason' } });
  }
  expect((await post('手机丢了 — “换卡”')).status).toBe(404);
});
