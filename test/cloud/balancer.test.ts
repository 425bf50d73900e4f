/** The balancer of docs/operations.md, run as it stands there, before two clouds. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { LiveMessage } from '@waystation/protocol/api';
import { Delivery } from '@waystation/protocol/gateway-link';
import { systemClock, type Clock } from '@waystation/runtime/clock';
import { requirePart } from '../servers/parts.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { accepting, freePort, Program } from '../servers/process.ts';
import { readEvents } from './event-source.ts';
import { birth, GATEWAY, openWorldOn, type CloudWorld } from './world.ts';

const DOCUMENT = new URL('../../docs/operations.md', import.meta.url);
const directory = mkdtempSync(join(tmpdir(), 'waystation-balancer-'));
let postgres: TestPostgres;
let worlds: CloudWorld<Clock>[];
let haproxy: Program;
let base: string;
let cookie: string;

/** The example with the addresses of this test; each must have been there to be replaced. */
function configuration(port: number, clouds: readonly number[]): string {
  const block = /```haproxy\n([\s\S]*?)```/.exec(readFileSync(DOCUMENT, 'utf8'))?.[1] ?? '';
  const replacements: [string, string][] = [
    [':443 ssl crt /etc/haproxy/waystation.pem', `127.0.0.1:${port}`],
    ...clouds.map((cloud, n): [string, string] => [`10.0.0.1${n + 1}:8080`, `127.0.0.1:${cloud}`]),
  ];
  return replacements.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, block);
}

beforeAll(async () => {
  postgres = await startPostgres();
  const change = { database: postgres.url, keys_dir: join(directory, 'keys'), behind_proxy: true };
  const open = () => openWorldOn(systemClock(), change);
  worlds = await Promise.all([open(), open()]);
  const ports: number[] = [];
  for (const { cloud } of worlds) ports.push((await cloud.listen()).port);
  const port = await freePort();
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, configuration(port, ports));
  haproxy = new Program({ command: requirePart('haproxy'), args: ['-db', '-f', file] });
  await accepting(port, haproxy);
  base = `http://127.0.0.1:${port}`;
  cookie = (await worlds[0]?.signIn('admin', 'administrator', '37')) ?? '';
});
afterAll(async () => {
  await haproxy.end();
  for (const world of worlds) await world.stop();
  await postgres.stop();
  rmSync(directory, { recursive: true });
});

const openDoor = () =>
  fetch(`${base}/api/v1/stations/${DEMO_STATION}/commands`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'open', reason: 'balanced' }),
  });

it('hands streams through as they come, to whichever cloud, and goes past one that has stopped', async () => {
  const authorization = 'Bearer only-for-tests';
  const dial = () =>
    readEvents(`${base}/gateway/v1/commands?gateway=${GATEWAY}`, { authorization });
  const pages = await Promise.all([0, 1].map(() => readEvents(`${base}/api/v1/live`, { cookie })));
  const counts = () => worlds.map(({ cloud }) => cloud.province.hub.counts.connections);
  await expect.poll(counts).toEqual([1, 1]);
  let gateway = await dial();
  await worlds[1]?.presence(DEMO_STATION, birth());
  for (let n = 0; n < 2; n += 1) {
    const answer = await openDoor();
    expect(answer.status).toBe(202);
    for (const page of pages)
      await page.until(({ data }) => LiveMessage.parse(data).type === 'command');
  }
  const isOrder = ({ data }: { data: unknown }) => Delivery.parse(data).command.kind === 'open';
  await expect.poll(() => gateway.events.filter(isOrder).length).toBeGreaterThanOrEqual(2);

  await worlds.shift()?.stop();
  gateway.cut();
  gateway = await dial();
  await expect.poll(async () => (await openDoor()).status, { timeout: 10_000 }).toBe(202);
  await gateway.until(isOrder);
  for (let n = 0; n < 10; n += 1) expect((await fetch(`${base}/readyz`)).status).toBe(200);
  for (const page of pages) page.cut();
  gateway.cut();
});
