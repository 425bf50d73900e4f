import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { openDatabase } from './open.ts';

const root = mkdtempSync(join(tmpdir(), 'waystation-database-'));
const options = { clock: systemClock(), log: silentLog };
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the embedded database', () => {
  it('keeps what it committed, syncs to the disk, and migrates once', async () => {
    const url = `pglite:${join(root, 'kept')}`;
    const first = await openDatabase({ ...options, url });
    const { rows } = await first.pool.query('show fsync');
    expect(rows).toEqual([{ fsync: 'on' }]);
    await first.db
      .insertInto('setting')
      .values({ name: 'a', value: '{"b":1}', changed_at: new Date(5) })
      .execute();
    await first.close();
    const again = await openDatabase({ ...options, url });
    expect(await again.db.selectFrom('setting').selectAll().execute()).toEqual([
      { name: 'a', value: { b: 1 }, changed_at: new Date(5) },
    ]);
    await again.close();
  }, 60_000);

  it('refuses a directory that a living process holds, and takes it over from a dead one', async () => {
    const directory = join(root, 'locked');
    const url = `pglite:${directory}`;
    const first = await openDatabase({ ...options, url });
    await expect(openDatabase({ ...options, url })).rejects.toMatchObject({
      code: 'DATABASE_LOCKED',
    });
    await first.close();
    expect(existsSync(`${directory}.lock`)).toBe(false);
    writeFileSync(`${directory}.lock`, `${process.pid} 1`); // the number is in use again, by another process
    const second = await openDatabase({ ...options, url });
    await second.close();
  }, 60_000);

  it('gives the event loop turns between queries', async () => {
    const database = await openDatabase({ ...options, url: 'pglite:memory://' });
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 5);
    for (let query = 0; query < 30; query += 1) {
      await database.pool.query('select sum(n) from generate_series(1, 60000) n');
    }
    clearInterval(timer);
    await database.close();
    expect(ticks).toBeGreaterThan(5);
  }, 60_000);

  it('names a server that cannot be reached', async () => {
    const url = 'postgres://nobody@127.0.0.1:1/none';
    await expect(openDatabase({ ...options, url })).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
    });
  });
});
