/** The cloud as a process: its command line, its ready line, its end; and the console's files as a browser gets them. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from './event-source.ts';

const MAIN = fileURLToPath(new URL('../../cloud/main.ts', import.meta.url));
const ACCOUNTS = fileURLToPath(new URL('../../cloud/accounts/main.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'waystation-process-'));
const config_file = join(directory, 'cloud.json');
const config = {
  listen: { host: '127.0.0.1', port: 0 },
  data_dir: join(directory, 'data'),
  database: 'pglite',
  gateway_token_file: join(directory, 'gateway.token'),
  keys_dir: join(directory, 'keys'),
  console_dir: join(directory, 'console'),
  demo_visitor: true,
  seed: { stations: 'shandong' },
};
beforeAll(() => {
  writeFileSync(config.gateway_token_file, 'only-for-tests\n');
  mkdirSync(join(config.console_dir, 'assets'), { recursive: true });
  writeFileSync(join(config.console_dir, 'index.html'), '<!doctype html><title>Waystation</title>');
  writeFileSync(join(config.console_dir, 'assets', 'main-1a2b3c.js'), 'export {};\n');
  writeFileSync(config_file, JSON.stringify(config));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(entry: string, args: string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], {
    encoding: 'utf8',
    input,
  });
  return { status, stdout, stderr };
}

interface Started {
  port: number;
  /** Sends the signal; how it ended and after how long. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; took_ms: number; last: string }>;
}

function start(): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, '--config', config_file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  let last = '';
  return new Promise((resolve, reject) => {
    void closed.then((code) =>
      reject(new Error(`ended with ${code} before it was ready: ${last}`)),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = line;
      const { event, port } = JSON.parse(line) as { event: string; port: number };
      if (event !== 'ready') return;
      resolve({
        port,
        async end(signal) {
          const from = performance.now();
          child.kill(signal);
          const code = await closed;
          return {
            code,
            took_ms: performance.now() - from,
            last: (JSON.parse(last) as { event: string }).event,
          };
        },
      });
    });
  });
}

describe('the command line', () => {
  it('explains itself, prints a sample that it accepts, and names what is wrong', () => {
    expect(run(MAIN, ['--help'])).toMatchObject({ status: 0, stderr: '' });
    const sample = run(MAIN, ['--print-config']);
    expect(sample.status).toBe(0);
    const sample_file = join(directory, 'sample.json');
    writeFileSync(sample_file, sample.stdout);
    expect(run(MAIN, ['--config', sample_file, '--check-config']).status).toBe(0);
    const wrong = join(directory, 'wrong.json');
    writeFileSync(
      wrong,
      JSON.stringify({ ...config, listen: { host: '127.0.0.1', port: '8080' } }),
    );
    const refused = run(MAIN, ['--config', wrong]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('field=listen.port');
    expect(run(MAIN, ['--config', join(directory, 'none.json')]).stderr).toContain(
      'CONFIG_UNREADABLE',
    );
  }, 60_000);
});

describe('the process', () => {
  it('is ready, serves the console, and ends within 5 s with pages open', async () => {
    const cloud = await start();
    const base = `http://127.0.0.1:${cloud.port}`;
    const page = await fetch(`${base}/`);
    expect(page.headers.get('cache-control')).toBe('no-cache');
    expect(await page.text()).toContain('<title>Waystation</title>');
    const asset = await fetch(`${base}/assets/main-1a2b3c.js`);
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const deep = await fetch(`${base}/stations/370811011W0001N`, {
      headers: { accept: 'text/html' },
    });
    expect(await deep.text()).toContain('<title>Waystation</title>');
    const lost = await fetch(`${base}/assets/gone.js`, { headers: { accept: 'text/html' } });
    expect(lost.status).toBe(404);
    const metrics = await (await fetch(`${base}/metrics`)).text();
    expect(metrics).toContain('waystation_ingest_records_total 0');
    const live = await readEvents(`${base}/api/v1/live`, {});
    const gateway = await readEvents(`${base}/gateway/v1/commands?gateway=g1`, {
      authorization: 'Bearer only-for-tests',
    });
    expect([live.status, gateway.status]).toEqual([200, 200]);
    const { code, took_ms, last } = await cloud.end('SIGTERM');
    expect({ code, last }).toEqual({ code: 0, last: 'stopped' });
    expect(took_ms).toBeLessThan(5_000);
    await Promise.all([live.ended, gateway.ended]);
  }, 60_000);

  it('takes accounts from the command line while it is down, and knows them when it is back', async () => {
    const add = (name: string, role: string, password: string) =>
      run(
        ACCOUNTS,
        [
          'add',
          '--config',
          config_file,
          '--name',
          name,
          '--role',
          role,
          '--organisation',
          '370811',
        ],
        password,
      );
    expect(add('rencheng', 'operator', 'a long password\n')).toMatchObject({ status: 0 });
    expect(add('rencheng', 'operator', 'a long password\n').stderr).toContain(
      'field=name problem=is taken',
    );
    expect(add('other', 'king', 'a long password\n').stderr).toContain('field=role');
    expect(add('other', 'viewer', 'short\n').stderr).toContain('field=password');
    const cloud = await start();
    const sign_in = await fetch(`http://127.0.0.1:${cloud.port}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ account: 'rencheng', password: 'a long password' }),
    });
    expect(await sign_in.json()).toMatchObject({
      account: 'rencheng',
      organisation_name: '任城区',
    });
    const locked = run(ACCOUNTS, ['disable', '--config', config_file, '--name', 'rencheng']);
    expect(locked.stderr).toContain('DATABASE_LOCKED');
    expect((await cloud.end('SIGINT')).code).toBe(0);
    expect(run(ACCOUNTS, ['disable', '--config', config_file, '--name', 'rencheng']).status).toBe(
      0,
    );
  }, 60_000);
});
