/** `npm start` and `npm run scan` as a person types them: started, used, interrupted, and started again on a copy of the data. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { freePort, Program, temporaryDirectory } from '../servers/process.ts';
import { Events, readHeads, Station, until } from './local-stack.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const directory = temporaryDirectory('start');
/** Where it runs first, and the copy of it, made while nothing ran, that it goes on from. */
const first_dir = join(directory.path, 'data');
const backup_dir = join(directory.path, 'backup');
const http_port = await freePort();
const mqtt_port = await freePort();
const url = `http://127.0.0.1:${http_port}`;
const running: Program[] = [];
afterAll(async () => {
  await Promise.all(running.map((program) => program.end('SIGTERM')));
  directory.remove();
});

const Decision = z.object({
  station: z.string(),
  outcome: z.literal('granted'),
  decision_ms: z.number().positive(),
});

async function npmStart(data_dir: string): Promise<Program> {
  const flags = ['--stations', '3', '--port', `${http_port}`, '--mqtt-port', `${mqtt_port}`];
  const program = new Program({
    // A session of its own, as a terminal gives it: Ctrl-C reaches every process of it.
    command: 'setsid',
    args: ['npm', 'start', '--', ...flags, '--data', data_dir],
    cwd: ROOT,
  });
  running.push(program);
  await program.saw(new RegExp(`^ready ${url}$`, 'm'), 100_000);
  return program;
}

async function npm(...args: readonly string[]) {
  const child = spawn('npm', [...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { ...output, code };
}

async function scan(data_dir: string, station: string) {
  const flags = ['--station', station, '--data', data_dir, '--url', url];
  const { stdout, stderr, code } = await npm('run', 'scan', '--', ...flags);
  expect(code, stderr).toBe(0);
  return Decision.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
}

/** Every process below this one. */
function descendants(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(path)
    ? readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number)
    : [];
  return children.flatMap((child) => [child, ...descendants(child)]);
}
const alive = (pid: number) =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

const station = async (code: string) =>
  Station.parse(await (await fetch(`${url}/api/v1/stations/${code}`)).json());
const events = async (code: string) =>
  Events.parse(await (await fetch(`${url}/api/v1/stations/${code}/events?limit=100`)).json()).rows;
const identity = ({ epoch, seq, kind }: { epoch: string; seq: number; kind: string }) =>
  `${epoch} ${seq} ${kind}`;
const eventEpoch = (data_dir: string) =>
  readHeads(join(data_dir, 'demo', 'edge', 'outbox.db'), [DEMO_STATION]).find(
    ({ stream }) => stream === 'event',
  )?.epoch;

/**
 * `Ctrl-C`: to every process of the terminal. `kill`: SIGTERM to npm alone, as a supervisor or a script does.
 * Returns how long the whole family took to end.
 */
async function end(program: Program, how: 'Ctrl-C' | 'kill') {
  const npm_pid = program.child.pid ?? 0;
  const family = [npm_pid, ...descendants(npm_pid)];
  const began = performance.now();
  if (how === 'Ctrl-C') process.kill(-npm_pid, 'SIGINT');
  else process.kill(npm_pid, 'SIGTERM');
  await until('the family ends', () => !family.some(alive), 6_000).catch((error: unknown) => {
    const left = family
      .filter(alive)
      .map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    throw new Error(`still there: ${left.join(', ')}`, { cause: error });
  });
  return { family: family.length, ended_ms: performance.now() - began };
}

describe('npm start', () => {
  test('runs, opens doors, ends within 5 s, and goes on from a copy of its data', async () => {
    const first = await npmStart(first_dir);
    const page = await fetch(`${url}/`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<script');

    const demo = await scan(first_dir, 'demo');
    const fleet_config = z
      .object({ stations: z.array(z.string()).length(3) })
      .parse(JSON.parse(readFileSync(join(first_dir, 'config', 'fleet.json'), 'utf8')));
    const fleet_code = fleet_config.stations[1] ?? '';
    const fleet = await scan(first_dir, fleet_code);
    await until('the openings are counted', async () =>
      [await station(DEMO_STATION), await station(fleet_code)].every(
        ({ today }) => today.openings === 1,
      ),
    );
    const before = { demo: await events(DEMO_STATION), fleet: await events(fleet_code) };

    const ended = await end(first, 'Ctrl-C');
    expect(ended.family).toBeGreaterThanOrEqual(7); // npm, the launcher, five parts
    expect(ended.ended_ms).toBeLessThan(5_000);
    expect(readdirSync(join(first_dir, 'demo'))).not.toContain('simulator.sock');
    const epoch = eventEpoch(first_dir);
    cpSync(first_dir, backup_dir, { recursive: true });

    const second = await npmStart(backup_dir);
    const kept = { demo: await events(DEMO_STATION), fleet: await events(fleet_code) };
    for (const name of ['demo', 'fleet'] as const) {
      const now = kept[name].map(identity);
      expect(new Set(now).size).toBe(now.length);
      for (const line of before[name].map(identity)) expect(now).toContain(line);
    }
    await scan(backup_dir, 'demo');
    await until(
      'the count goes on',
      async () => (await station(DEMO_STATION)).today.openings === 2,
    );
    const ended_again = await end(second, 'kill');
    expect(ended_again.ended_ms).toBeLessThan(5_000);
    expect(eventEpoch(backup_dir)).toBe(epoch);
    const all = kept.demo.map((line) => line.epoch);
    expect(new Set(all)).toEqual(new Set([epoch]));
    console.log(
      `demo ${demo.decision_ms} ms, fleet ${fleet.decision_ms} ms; ${ended.family} processes ended in ` +
        `${Math.round(ended.ended_ms)} and ${Math.round(ended_again.ended_ms)} ms; ` +
        `${before.demo.length + before.fleet.length} events kept over the restart`,
    );
  });

  test.each([
    ['an unknown flag', ['--station', '3'], /^USAGE problem=Unknown option '--station'/m],
    [
      'too many stations',
      ['--stations', '10659'],
      /^USAGE flag=--stations problem="10659" is not/m,
    ],
    ['a port that is none', ['--port', 'http'], /^USAGE flag=--port problem="http" is not/m],
    [
      'a database of another kind',
      ['--database', 'mysql://x'],
      /^USAGE flag=--database problem=is/m,
    ],
    [
      'a broker without a user',
      ['--broker', 'mqtt://127.0.0.1'],
      /^USAGE flag=--broker problem=needs/m,
    ],
  ])('refuses %s with a sentence', (_name, flags, sentence) => {
    const done = spawnSync(process.execPath, ['scripts/start.ts', ...flags], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(sentence);
    expect(done.stderr).toContain('--help');
    expect(done.stdout).toBe('');
  });

  test.each(['--port', '--mqtt-port'])(
    'refuses an occupied %s and leaves nothing',
    async (flag) => {
      const squatter = createServer().listen(0, '127.0.0.1');
      await once(squatter, 'listening');
      const address = squatter.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      const other = flag === '--port' ? '--mqtt-port' : '--port';
      const untouched = join(directory.path, 'untouched');
      const flags = [flag, `${port}`, other, `${await freePort()}`, '--data', untouched];
      const done = spawnSync(process.execPath, ['scripts/start.ts', ...flags], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      squatter.close();
      expect(done.status).toBe(1);
      expect(done.stderr).toContain(`PORT_IN_USE port=${port}`);
      expect(existsSync(untouched)).toBe(false);
    },
  );
});
