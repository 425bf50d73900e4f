/** The cloud on PostgreSQL: many writers at once, and the database gone for a while. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { findAuditBreak } from '@waystation/cloud/operations/audit';
import { Problem } from '@waystation/protocol/api';
import { isRevoked, statusListOf } from '@waystation/protocol/card/status-list';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { HOLDER_KEY, openWorld, type CloudWorld } from './world.ts';

let postgres: TestPostgres;
let world: CloudWorld;
let cookie: string;
beforeAll(async () => {
  postgres = await startPostgres();
  world = await openWorld({ database: postgres.url });
  cookie = await world.signIn('admin', 'administrator', '37');
}, 120_000);
afterAll(async () => {
  await world.stop();
  await postgres.stop();
});

const post = (url: string, body: object) => world.ask(url, { method: 'POST', cookie, body });

it('enrols and revokes side by side: every card its place, every version once, one chain', async () => {
  const enrolled = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      post('/api/v1/members', { name: `会员${i}`, holder_key: HOLDER_KEY }),
    ),
  );
  const cards = enrolled.map(({ body }) => z.object({ index: z.int() }).parse(body).index);
  expect(new Set(cards).size).toBe(40);
  const { version } = world.cloud.province.trust.statusList();
  const revoked = cards.slice(0, 10);
  const answers = await Promise.all(
    revoked.map((index) => post(`/api/v1/cards/${index}/revoke`, { reason: 'phone lost' })),
  );
  expect(answers.map(({ status }) => status)).toEqual(revoked.map(() => 204));
  expect(world.cloud.province.trust.statusList().version).toBe(version + 10);
  const { db } = world.cloud.database;
  expect(await findAuditBreak(db)).toBeNull();
  const rows = await db
    .selectFrom('card')
    .select('index')
    .where('revoked_at', 'is not', null)
    .execute();
  const bits = statusListOf(
    rows.map(({ index }) => index),
    524_288,
  );
  expect(cards.filter((index) => isRevoked(bits, index))).toEqual(revoked);
});

it('says 503 while the database is away, and goes on when it is back', async () => {
  await postgres.kill('SIGKILL');
  for (const url of ['/readyz', '/api/v1/stations?limit=1']) {
    const { status, body } = await world.ask(url, { cookie });
    expect(status, url).toBe(503);
    expect(Problem.parse(body).code).toBe('DATABASE_UNAVAILABLE');
  }
  expect((await world.ask('/healthz')).status).toBe(200);
  await postgres.restart();
  await expect.poll(async () => (await world.ask('/readyz')).status, { timeout: 20_000 }).toBe(200);
  expect((await world.ask('/api/v1/stations?limit=1', { cookie })).status).toBe(200);
});
