import { expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { stepUptime, type UptimeWatch } from './uptime-watch.ts';

const STATES: UptimeWatch[] = [{ s: 'unseen' }, { s: 'seen', uptime_s: 100, since: monoMs(1000) }];
const INPUTS: [string, number | null, number][] = [
  ['absent', null, 2000],
  ['advanced', 101, 2000],
  ['stands still for 2.9 s', 100, 3900],
  ['stands still for 3 s', 100, 4000],
  ['went backwards', 3, 2000],
];

test('every state and every input', async () => {
  const print = (watch: UptimeWatch) =>
    watch.s === 'seen' ? `seen ${watch.uptime_s} s since ${watch.since}` : 'unseen';
  const rows = STATES.flatMap((watch) =>
    INPUTS.map(([name, uptime_s, now]) => {
      const { next, stale, restarted } = stepUptime(watch, uptime_s, monoMs(now));
      return `${print(watch)} + ${name} @${now} -> ${print(next)}${stale ? ' [stale]' : ''}${restarted ? ' [restarted]' : ''}`;
    }),
  );
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('uptime-watch.table.txt');
});
