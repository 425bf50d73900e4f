/** The benchmarks as they are called: what they refuse, and that a small one ends with its figures. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ENTRY = fileURLToPath(new URL('main.ts', import.meta.url));

function bench(args: readonly string[], shell_first = 'true') {
  const command = `${shell_first} && exec "$0" "$@"`;
  const done = spawnSync('sh', ['-c', command, process.execPath, ENTRY, ...args], {
    encoding: 'utf8',
    timeout: 110_000,
  });
  return { ...done, last: done.stdout.trim().split('\n').at(-1) ?? '' };
}

test.each([
  [[], 'name one of door, ingest'],
  [['nothing'], 'name one of door, ingest'],
  [['province', '--stations', '10660'], '--stations'],
  [['province', '--seconds', 'ten'], '--seconds'],
  [['province', '--speed', '2'], '--speed'],
])('%j is refused with the flag and what it takes', (args, problem) => {
  const { status, stderr } = bench(args);
  expect(status).toBe(1);
  expect(stderr).toContain(problem);
});

test('a machine that is too small says what is short and how to raise it, and starts nothing', () => {
  const { status, stderr, stdout } = bench(['province'], 'ulimit -n 4096');
  expect(status).toBe(1);
  expect(stderr).toMatch(/MACHINE_TOO_SMALL limit=open files needs=11159 has=4096 raise=ulimit/);
  expect(stdout).toBe('');
});

test('a small province loses nothing and says what it took', () => {
  const { status, last, stderr } = bench(['province', '--stations', '30', '--seconds', '4']);
  expect(status, stderr).toBe(0);
  expect(JSON.parse(last)).toMatchObject({
    stations: 30,
    seconds: 4,
    lost: 0,
    duplicated: 0,
    changed: 0,
    invented: 0,
    records: expect.any(Number),
    p50_ms: expect.any(Number),
    p99_ms: expect.any(Number),
    cores_gateway_cloud: expect.any(Number),
    bytes_station_day: expect.any(Number),
  });
});
