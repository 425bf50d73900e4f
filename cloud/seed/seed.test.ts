import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { openDatabase, type Database } from '../database/open.ts';
import { DEMO_STATION } from './demo-station.ts';
import { seedShandong } from './seed.ts';

let database: Database;
beforeAll(async () => {
  database = await openDatabase({ url: 'pglite:memory://', clock: fakeClock(), log: silentLog });
}, 60_000);
afterAll(() => database.close());

it('writes the province once, and nothing the second time', async () => {
  const { db } = database;
  expect(await seedShandong(db, 1)).toBe(10_659);
  expect(await seedShandong(db, 2)).toBe(0);
  const demo = await db
    .selectFrom('station')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .select(['organisation.adcode', 'organisation.path', 'organisation.level'])
    .where('code', '=', DEMO_STATION)
    .executeTakeFirstOrThrow();
  expect(demo).toMatchObject({ adcode: '370811011', level: 'township' });
  expect(demo.path.split('.')).toHaveLength(4);
  const added = await db
    .insertInto('organisation')
    .values({ parent: 1, level: 'city', adcode: '3799', name: '新市', path: '1.9999' })
    .returning('id')
    .executeTakeFirstOrThrow();
  expect(added.id).toBe(2022);
});
