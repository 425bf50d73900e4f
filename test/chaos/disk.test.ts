import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isFault } from '@waystation/runtime/fault';
import { startProcess } from '@waystation/scripts/local/process';
import { temporaryDirectory } from '../servers/process.ts';
import { mountDisk } from './disk.ts';
import { fakedClock } from './faked-clock.ts';

test('a full disk takes nothing more until it is freed, and is gone in the end', () => {
  const directory = temporaryDirectory('disk');
  const disk = mountDisk(join(directory.path, 'small'), 2);
  const path = join(disk.path, 'file');
  writeFileSync(path, 'here');
  disk.fill();
  const file = openSync(path, 'a');
  expect(() => {
    for (let page = 0; page < 2; page += 1) writeSync(file, Buffer.alloc(4_096));
  }).toThrow(/ENOSPC/);
  closeSync(file);
  disk.free();
  writeFileSync(path, Buffer.alloc(1_000_000));
  disk.unmount();
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(disk.path);
  directory.remove();
});

test('where nothing can be mounted it says so, with what it needs', () => {
  const directory = temporaryDirectory('disk');
  let thrown: unknown;
  try {
    mountDisk(join(directory.path, 'small'), Number.NaN); // refused as it is where nobody may mount
  } catch (error) {
    thrown = error;
  }
  directory.remove();
  expect(isFault(thrown, 'MOUNT_REFUSED')).toBe(true);
});

test("a process' wall clock jumps by order, its monotonic clock does not", async () => {
  const directory = temporaryDirectory('clock');
  const faked = fakedClock(join(directory.path, 'wall-clock'));
  const entry = 'test/chaos/clock-reader.ts';
  const program = await startProcess({
    name: 'clock-reader',
    entry,
    args: [],
    data_dir: directory.path,
    env: faked.env,
  });
  const heard: { wall_s: number; mono_s: number }[] = [];
  const ask = () =>
    new Promise<void>((resolve) => {
      program.onLine((line) => {
        if (line.event !== 'clock') return;
        heard.push({ wall_s: Number(line['wall_s']), mono_s: Number(line['mono_s']) });
        resolve();
      });
      program.child.stdin?.write('?\n');
    });
  try {
    await ask();
    faked.jump(-1_790_000_000);
    await ask();
    faked.jump(7_200);
    await ask();
  } finally {
    await program.stop();
    directory.remove();
  }
  const [real, early, ahead] = [heard[0], heard[1], heard.at(-1)];
  expect((early?.wall_s ?? 0) - (real?.wall_s ?? 0)).toBeCloseTo(-1_790_000_000, -1);
  expect((ahead?.wall_s ?? 0) - (real?.wall_s ?? 0)).toBeCloseTo(7_200, -1);
  expect((ahead?.mono_s ?? 0) - (real?.mono_s ?? 0)).toBeLessThan(10);
});
