import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { outboxFileOn } from '@waystation/edge/outbox/outbox-file';
import { outboxStoreOn } from '@waystation/edge/outbox/outbox-store';
import { stationCode } from '@waystation/protocol/station-code';
import { epochMs, fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { shareTable } from './shared-table.ts';

const [ONE, TWO] = [stationCode('370811011', 'W', 1), stationCode('370811011', 'W', 2)];

test('each station sees its own rows only, in order of age, until they expire, and again after a restart', async () => {
  const clock = fakeClock();
  const db = new DatabaseSync(':memory:');
  const open = () => {
    const store = outboxStoreOn(outboxFileOn(db), {
      clock,
      random: () => 0.5,
      commit: 'immediate',
      disk_budget_bytes: 1e7,
      log: silentLog,
    });
    return { store, share: shareTable(store.table('door', { rows: 100 })) };
  };
  const first = open();
  const [one, two] = [first.share(ONE), first.share(TWO)];
  one.put('mode', 'normal');
  one.put('boot', 'a b');
  two.put('mode', 'lockdown');
  one.put('mode', 'freeAccess');
  two.put('gone', 'x', epochMs(clock.wall() + 1_000));
  expect(one.entries()).toEqual([
    ['boot', 'a b'],
    ['mode', 'freeAccess'],
  ]);
  expect(two.get('boot')).toBeNull();
  one.delete('boot');
  await clock.advance(2_000);
  expect(two.entries()).toEqual([['mode', 'lockdown']]);
  await first.store.flush();

  const again = open();
  expect(again.share(ONE).entries()).toEqual([['mode', 'freeAccess']]);
  expect(again.share(TWO).get('mode')).toBe('lockdown');
});
