/** The outbox of a real station is damaged: the agent is up in five seconds, the door opens for a card, the cloud takes all it tells. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { demoDirectory } from '@waystation/scripts/local/stack';
import { DAMAGES, type Damage } from '../power/damage.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { differences, query, readCommitted } from './committed.ts';
import { Started, startTestStack, until, type TestStack } from './local-stack.ts';

const SEED = 20_261_124;
const UP_MAX_MS = 5_000;
const clock = systemClock();
const random = prng(SEED);
const started = new Started();
let postgres: TestPostgres;
let system: TestStack;
let edge: LocalProcess | undefined;
beforeAll(async () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../edge/bundle.ts', import.meta.url))]);
  postgres = started.add(await startPostgres());
  system = started.add(await startTestStack({ database: postgres.url }));
});
afterAll(async () => {
  await edge?.stop();
  await started.stop();
});

function startBundle(): Promise<LocalProcess> {
  const path = join(system.data_dir, 'config', 'demo-edge.json');
  const config: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return startProcess({
    name: 'damaged-edge',
    entry: 'edge/dist/edge.mjs',
    args: [],
    config: Object.assign({}, config),
    data_dir: system.data_dir,
  });
}

const eventCursor = async () =>
  (await readCommitted(postgres.url)).find(({ stream }) => stream === 'event');

test(`the agent as it ships after each kind of damage, seed ${SEED}`, async () => {
  const outbox = join(demoDirectory(system.data_dir), 'edge', 'outbox.db');
  const damages = Object.keys(DAMAGES) as Damage[];
  const up_ms: number[] = [];
  const member = await system.member('damage');
  expect(await system.visit(member)).toMatchObject({ outcome: 'granted' });
  await system.stack.processes.get('demo-edge')?.stop();
  for (const damage of damages) {
    DAMAGES[damage](outbox, random);
    const began = clock.mono();
    edge = await startBundle();
    up_ms.push(Math.round(clock.mono() - began));
    expect(edge.ready, damage).toMatchObject({ door: true });
    const holder = await system.member(`after ${damage}`);
    expect(await system.visit(holder), damage).toMatchObject({ outcome: 'granted' });
    await edge.stop();
    edge = undefined;
  }
  edge = await startBundle();
  await until('everything is sent', async () => {
    const seen = await eventCursor();
    await clock.sleep(500);
    return seen !== undefined && (await eventCursor())?.through === seen.through;
  });
  await edge.stop();
  edge = undefined;
  expect(differences(await system.heads(), await readCommitted(postgres.url))).toEqual([]);
  expect(await query(postgres.url, 'select reason from dead_letter')).toEqual([]);
  const [told] = await query(
    postgres.url,
    `select count(*)::int as corrupt from event where kind = 'epoch' and body->>'reason' = 'corrupt'`,
  );
  expect(Number(told?.['corrupt'])).toBeGreaterThan(3);
  console.log(`up after damage in ms: ${damages.map((d, n) => `${d} ${up_ms[n]}`).join(', ')}`);
  for (const ms of up_ms) expect(ms).toBeLessThan(UP_MAX_MS);
});
