/** The process that is killed: appends, acknowledges, and says on its output what was promised. Nothing else. */
import { writeSync } from 'node:fs';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import { stationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';

const [path = '', first = '1', seed = '1'] = process.argv.slice(2);
const random = prng(Number(seed));
const clock = systemClock();
const say = (line: string) => writeSync(1, `${line}\n`); // synchronous: a promise said is in the pipe before the kill

const store = openOutboxStore({
  path,
  clock,
  random,
  commit: 'immediate',
  disk_budget_bytes: 8_000_000,
  log: silentLog,
});
const stamp = () => ({
  at: clock.wall(),
  mono: Math.round(clock.mono()),
  boot: '0000cafe',
  clock: 'synced' as const,
});
const outbox = store.outbox(stationCode('370102001', 'W', 1), stamp);
const table = store.table('executed', { rows: 100_000 });
say(`opened ${outbox.position('event').head}`);

for (let n = Number(first); ; n += 1) {
  if (n % 7 === 0) outbox.appendSample({ kind: 'report', ...stamp(), values: { co2_ppm: 400 } });
  if (n % 5 === 0) table.put(`command ${n}`, 'succeeded');
  const events = Array.from({ length: n % 11 === 0 ? 4 : 1 }, (_, part) =>
    outbox.appendEvent({ kind: 'mode', ...stamp(), mode: 'normal', cause: `event ${n}.${part}` }),
  );
  const durable = await Promise.all(events);
  for (const [part, { seq }] of durable.entries()) say(`event ${seq} ${n}.${part}`);
  if (n % 5 === 0) say(`command ${n}`);
  if (random() < 0.05) {
    const { epoch, acked, head } = outbox.position('event');
    const through = acked + Math.floor(random() * (head - acked + 1));
    outbox.acknowledge({ stream: 'event', epoch, through });
    say(`acked ${through}`);
  }
  if (n % 50 === 0) await clock.sleep(0);
}
