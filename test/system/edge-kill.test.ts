/** kill -9 of the agent, as it ships, again and again while people scan and contacts change: no confirmed event is missing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPty, type Pty } from '@waystation/firmware-sim/pty';
import { systemClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { percentile } from '../bench/percentile.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { differences, query, readCommitted } from './committed.ts';
import { Started, startTestStack, until, type TestStack } from './local-stack.ts';

/** Whole processes of the agent as it ships; the outbox alone is killed as often in test/power. */
const KILLS = 200;
const LIFE_MAX_MS = 250;
/** About a third of a second a life here; a busy machine may take five times as long. */
const TIMEOUT_MS = 400_000;
const SEED = 20_261_122;

const clock = systemClock();
const started = new Started();
let postgres: TestPostgres;
let system: TestStack;
beforeAll(async () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../edge/bundle.ts', import.meta.url))]);
  postgres = started.add(await startPostgres());
  system = started.add(await startTestStack({ database: postgres.url }));
});
afterAll(async () => {
  await started.stop();
});

/** The station's own configuration, with the reader on a line that the test holds. */
function startBundle(reader: Pty): Promise<LocalProcess> {
  const path = join(system.data_dir, 'config', 'demo-edge.json');
  const config: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return startProcess({
    name: 'bundled-edge',
    entry: 'edge/dist/edge.mjs',
    args: [],
    config: Object.assign({}, config, { reader: { path: reader.path, baud: 115_200 } }),
    data_dir: system.data_dir,
  });
}

test(
  `${KILLS} kills, seed ${SEED}: the chain is whole in the cloud and every granted opening is there`,
  async () => {
    const random = prng(SEED);
    const member = await system.member('kills');
    const demo = await system.demo();
    const reader = openPty({ link: join(system.data_dir, 'kill-reader') });
    const agent = { alive: false };
    let [heard, scanned] = ['', 0];
    reader.onData((bytes) => (heard += Buffer.from(bytes).toString()));
    const answers = () => heard.split('\r\n').length - 1;
    const granted = () => heard.split('+granted;').length - 1;
    const ready_ms: number[] = [];

    /** People scan and lean on buttons for as long as the agent lives. */
    const bustle = async () => {
      while (agent.alive) {
        for (const line of ['sos', 'sos off', 'egress', 'open', 'close'])
          if (random() < 0.5) await demo.ask({ do: 'prompt', line });
        const before = answers();
        reader.write(Buffer.from(`${member.present(clock.wall())}\r\n`));
        scanned += 1;
        await until('an answer, or death', () => !agent.alive || answers() > before);
      }
    };

    await system.stack.processes.get('demo-edge')?.stop();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const began = clock.mono();
      const edge = await startBundle(reader);
      ready_ms.push(clock.mono() - began);
      agent.alive = true;
      const people = bustle();
      await clock.sleep(random() * LIFE_MAX_MS);
      edge.kill('SIGKILL');
      expect(await edge.ended).toBe('SIGKILL');
      agent.alive = false;
      await people;
    }

    const last = await startBundle(reader);
    await until('everything is sent', async () => {
      const rows = await readCommitted(postgres.url);
      const [cursor] = rows.filter(({ stream }) => stream === 'event');
      const seen = cursor?.through ?? 0;
      await clock.sleep(500);
      const again = (await readCommitted(postgres.url)).find(({ stream }) => stream === 'event');
      return seen > 0 && again?.through === seen;
    });
    await last.stop();
    reader.close();
    const heads = await system.heads();
    expect(differences(heads, await readCommitted(postgres.url))).toEqual([]);
    expect(new Set(heads.map(({ epoch }) => epoch)).size).toBe(1);
    expect(await query(postgres.url, 'select kind from stream_fault')).toEqual([]);
    expect(await query(postgres.url, 'select reason from dead_letter')).toEqual([]);
    const [row] = await query(
      postgres.url,
      `select count(*) filter (where kind = 'access' and body->>'outcome' = 'granted')::int as opened,
       count(*) filter (where kind = 'started')::int as started, count(*)::int as events from event`,
    );
    expect(Number(row?.['opened'])).toBeGreaterThanOrEqual(granted());
    expect(Number(row?.['started'])).toBe(KILLS + 2);
    console.log(
      `${KILLS} kills: ${String(row?.['events'])} events, ${granted()} openings confirmed at the reader, ${String(row?.['opened'])} committed, ` +
        `${scanned} scans; ready p50 ${Math.round(percentile(ready_ms, 50))} ms`,
    );
  },
  TIMEOUT_MS,
);
