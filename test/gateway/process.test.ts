import { spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Program, temporaryDirectory } from '../servers/process.ts';
import { configure, connectStation, station } from './harness.ts';
import { startStubCloud, type StubCloud } from './stub-cloud.ts';

const MAIN = new URL('../../gateway/main.ts', import.meta.url).pathname;
const run = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
let directory: ReturnType<typeof temporaryDirectory>;
let cloud: StubCloud;
const file = () => join(directory.path, 'gateway.json');

beforeEach(async () => {
  directory = temporaryDirectory('gateway-process');
  cloud = await startStubCloud();
});
afterEach(async () => {
  await cloud.stop();
  directory.remove();
});

test('help, and a sample configuration that is accepted', () => {
  expect(run('--help').stdout).toContain('--print-acl mosquitto');
  writeFileSync(file(), run('--print-config').stdout);
  expect(run('--config', file(), '--check-config').stdout).toContain('valid');
});

test('a wrong configuration is refused by the name of its field', () => {
  writeFileSync(
    file(),
    JSON.stringify({ ...configure(directory.path, cloud.url), limits: { linger_ms: 'soon' } }),
  );
  const { status, stderr } = run('--config', file());
  expect([status, stderr]).toEqual([2, expect.stringContaining('limits.linger_ms')]);
  expect(run('--config', '/nowhere').status).toBe(2);
  expect(run().stderr).toContain('--config FILE is missing');
});

test('a port in use ends the process, though the other port was free', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  writeFileSync(
    file(),
    JSON.stringify(configure(directory.path, cloud.url, { http: { host: '127.0.0.1', port } })),
  );
  const program = new Program({ command: process.execPath, args: [MAIN, '--config', file()] });
  await program.saw(/GATEWAY_LISTEN/);
  await once(program.child, 'exit');
  expect(program.child.exitCode).toBe(2);
  other.close();
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it cleanly, with stations connected',
  async (signal) => {
    writeFileSync(file(), JSON.stringify(configure(directory.path, cloud.url)));
    const program = new Program({ command: process.execPath, args: [MAIN, '--config', file()] });
    const ready = await program.saw(/"event":"ready".*"mqtt":(\d+)/);
    const here = await connectStation(`mqtt://127.0.0.1:${ready[1]}`, station(1));
    here.send('event', 1);
    await expect.poll(() => here.acks).toHaveLength(1);
    const began = performance.now();
    expect(await program.end(signal)).toBe(0);
    expect(performance.now() - began).toBeLessThan(3_000);
    await here.closed;
  },
);
