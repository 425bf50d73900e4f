import { fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openOutboxStore } from '../outbox/outbox-store.ts';
import { createCommandJournal } from './command-journal.ts';

test('a row that bad flash has changed neither stops the station nor lets its order be executed again', () => {
  const directory = mkdtempSync(join(tmpdir(), 'journal-'));
  const store = openOutboxStore({
    path: join(directory, 'outbox.db'),
    clock: fakeClock(),
    random: prng(1),
    commit: 'immediate',
    disk_budget_bytes: 1_000_000,
    log: silentLog,
  });
  const table = store.table('orders', { rows: 10 });
  for (const [id, text] of Object.entries({ a: '{"nonce":"0"', b: '{"monce":"0"}', c: '' }))
    table.put(id, text);
  const journal = createCommandJournal(table);
  expect(journal.unfinished()).toEqual([]);
  expect(journal.knowsNonce('0123456789abcdef')).toBe(false);
  for (const id of ['a', 'b', 'c']) {
    journal.finish(id, 'succeeded');
    expect(journal.knowsId(id)).toBe(true);
  }
  store.close();
  rmSync(directory, { recursive: true });
});
