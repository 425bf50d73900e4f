/** A real influxd whose disk was full: with the torn tail of its write-ahead log cut off nothing acknowledged is lost, without it some is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { mountDisk } from '../chaos/disk.ts';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { temporaryDirectory } from '../servers/process.ts';

const DISK_MIB = 64;
const T0_MS = Date.UTC(2026, 5, 1);
const POINTS_A_WRITE = 5;
/** The last segment may still have most of a page: some writes fit into a disk that is full. */
const WRITES_UNTIL_REFUSED_MAX = 1_000;

const Answer = z.object({
  results: z.tuple([
    z.object({
      series: z.tuple([z.object({ values: z.array(z.tuple([z.number(), z.number()])) })]),
    }),
  ]),
});
const Segment = z.strictObject({
  file: z.string(),
  bytes_kept: z.number(),
  bytes_cut: z.number(),
});

/** Writes numbered points and remembers which were acknowledged. */
function writer(influxd: TestInfluxd) {
  const authorization = `Basic ${btoa(`${influxd.username}:${influxd.password}`)}`;
  const acknowledged: number[] = [];
  let next = 0;
  const write = async (): Promise<boolean> => {
    const numbers = Array.from({ length: POINTS_A_WRITE }, () => next++);
    const body = numbers.map((n) => `report,station=A seq=${n} ${T0_MS + n}`).join('\n');
    const url = `${influxd.url}/write?db=${influxd.database}&precision=ms`;
    const answer = await fetch(url, { method: 'POST', headers: { authorization }, body });
    await answer.text();
    if (answer.status === 204) acknowledged.push(...numbers);
    return answer.status === 204;
  };
  return {
    async writeMany(times: number): Promise<void> {
      for (let at = 0; at < times; at += 1) assert(await write(), influxd.output);
    },
    async writeUntilRefused(): Promise<void> {
      for (let at = 0; at < WRITES_UNTIL_REFUSED_MAX; at += 1) if (!(await write())) return;
      assert.fail('a full disk took every write');
    },
    write,
    async missing(): Promise<number[]> {
      const answer = Answer.parse(await influxd.query('select seq from report'));
      const stored = new Set(answer.results[0].series[0].values.map(([, seq]) => seq));
      return acknowledged.filter((seq) => !stored.has(seq));
    },
  };
}

function callTool(wal_directory: string) {
  return spawnSync(process.execPath, ['scripts/influx-wal.ts', wal_directory], {
    encoding: 'utf8',
  });
}

function cut(wal_directory: string): z.infer<typeof Segment>[] {
  const done = callTool(wal_directory);
  assert.equal(done.status, 0, done.stderr);
  return done.stdout
    .trim()
    .split('\n')
    .map((line) => Segment.parse(JSON.parse(line)));
}

/** Returns the acknowledged points that are missing in the end, after two more starts. */
async function lostAfterFullDisk(whileStopped: (wal_directory: string) => void) {
  const directory = temporaryDirectory('full-disk');
  const disk = mountDisk(join(directory.path, 'disk'), DISK_MIB);
  const influxd = await startInfluxd(disk.path);
  try {
    const points = writer(influxd);
    await points.writeMany(40);
    disk.fill();
    await points.writeUntilRefused();
    disk.free();
    expect(await points.write(), 'influxd takes writes again without a restart').toBe(false);
    await influxd.kill('SIGTERM');
    whileStopped(join(disk.path, 'wal'));
    await influxd.restart();
    expect(await points.missing()).toEqual([]);
    await points.writeMany(20);
    for (let start = 0; start < 2; start += 1) {
      await influxd.kill('SIGKILL');
      await influxd.restart();
    }
    return await points.missing();
  } finally {
    await influxd.stop();
    disk.unmount();
    directory.remove();
  }
}

test('with the torn tail cut off between stop and start, no acknowledged point is missing', async () => {
  let cut_segments = 0;
  const lost = await lostAfterFullDisk((wal_directory) => {
    cut_segments = cut(wal_directory).filter(({ bytes_cut }) => bytes_cut > 0).length;
  });
  expect(cut_segments).toBe(1);
  expect(lost).toEqual([]);
});

test('without the cut InfluxDB 1.x loses points that it acknowledged: the tool is needed', async () => {
  expect((await lostAfterFullDisk(() => {})).length).toBeGreaterThan(0);
});

test('the tool refuses a running influxd and a directory that is not there', async () => {
  const directory = temporaryDirectory('full-disk');
  const influxd = await startInfluxd(directory.path);
  try {
    await writer(influxd).writeMany(1);
    const running = callTool(join(directory.path, 'wal'));
    expect([running.status, running.stderr]).toEqual([
      1,
      expect.stringContaining(`DATABASE_LOCKED directory=${directory.path}/wal pid=${influxd.pid}`),
    ]);
    const missing = callTool(join(directory.path, 'elsewhere'));
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining('USAGE')]);
  } finally {
    await influxd.stop();
    directory.remove();
  }
});
