/** Power cuts on a simulated disk: what a station promised survives them, and the checker sees a disk that lies. */
import { expect, test } from 'vitest';
import { systemClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { CUTS_A_TRACE, recordHistory, runCuts } from './cuts.ts';
import type { DiskStep } from './disk-history.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const CUTS = 1_000;
const SEED = 20_261;

test(`seed ${SEED}: ${CUTS} cuts lose nothing that was promised, and the outbox always opens`, async () => {
  const figures = await runCuts({ seed: SEED, from: 0, to: CUTS, flush: 'honest' }, systemClock());
  expect(figures.failures).toEqual([]);
  expect(figures).toMatchObject({ cuts: CUTS, opened: CUTS, lost: 0, broken: 0, set_aside: 0 });
  // The property met what it is about.
  expect(figures.accepted_events).toBeGreaterThan(CUTS * 5);
  expect(figures.torn).toBeGreaterThan(CUTS / 10);
  expect(figures.reordered).toBeGreaterThan(CUTS / 20);
  expect(figures.stale).toBeGreaterThan(0);
});

test('the checker sees a disk that lies about its flush', async () => {
  const figures = await runCuts({ seed: SEED, from: 0, to: 30, flush: 'lying' }, systemClock());
  expect(figures.lost).toBeGreaterThan(30);
  expect(figures.failures.flatMap(({ problems }) => problems).join('\n')).toMatch(/event/);
});

test('a cut by its number is the same whichever others are made', async () => {
  const one = (from: number, to: number) =>
    runCuts({ seed: SEED, from, to, flush: 'lying' }, systemClock());
  const many = await one(0, 12);
  const alone = await one(7, 8);
  expect(alone.failures).toEqual(many.failures.filter(({ cut }) => cut === 7));
  expect(many.failures.length).toBeGreaterThan(6);
  expect(CUTS_A_TRACE).toBeGreaterThan(12);
});

test('the recorded station checkpoints, thins, renames and truncates', () => {
  const steps = recordHistory(SEED);
  const created = (name: string) =>
    steps.flatMap((s) => (s.step === 'create' && s.path === name ? [s.inode] : []));
  const count = (wanted: (step: DiskStep) => boolean) => steps.filter(wanted).length;
  const [database = 0] = created('outbox.db');
  expect(count((s) => s.step === 'sync' && s.inode === database)).toBeGreaterThan(5);
  expect(created('outbox.db-wal').length).toBeGreaterThan(1);
  expect(count((s) => s.step === 'rename')).toBeGreaterThan(3);
  expect(count((s) => s.step === 'syncDirectory')).toBeGreaterThan(5);
  const written = steps.flatMap((s) => (s.step === 'write' ? [s.bytes.toString('latin1')] : []));
  expect(written.some((bytes) => bytes.includes('"span":'))).toBe(true);
  expect(written.some((bytes) => bytes.includes('"reason":"diskBudget"'))).toBe(true);
});

const write = (offset: number, fill: string, length: number): DiskStep => ({
  step: 'write',
  inode: 1,
  offset,
  bytes: Buffer.alloc(length, fill),
});
const BORN: DiskStep[] = [
  { step: 'create', path: 'f', inode: 1 },
  { step: 'syncDirectory', path: '' },
];

function images(steps: readonly DiskStep[], count = 400): (string | undefined)[] {
  const disk = new SimulatedDisk('honest');
  for (const step of [...BORN, ...steps]) disk.apply(step);
  const random = prng(SEED);
  return Array.from({ length: count }, () => disk.cut(random).files.get('f')?.toString('latin1'));
}

test('the disk keeps what was fsynced, and only that surely', () => {
  const sure = images([write(0, 'a', 1024), { step: 'sync', inode: 1 }]);
  expect(new Set(sure)).toEqual(new Set(['a'.repeat(1024)]));
  const [a, b] = ['a'.repeat(512), 'b'.repeat(512)];
  const torn = images([
    write(0, 'a', 1024),
    { step: 'sync', inode: 1 },
    write(0, 'b', 512),
    write(512, 'b', 512),
  ]);
  expect(new Set(torn)).toEqual(new Set([a + a, b + a, a + b, b + b]));
});

test('a name is there when its directory was fsynced, and a rename is whole', () => {
  const disk = new SimulatedDisk('honest');
  disk.apply({ step: 'create', path: 'new', inode: 1 });
  disk.apply(write(0, 'n', 512));
  disk.apply({ step: 'sync', inode: 1 });
  disk.apply({ step: 'rename', from: 'new', to: 'old' });
  const random = prng(SEED);
  const names = () => [...disk.cut(random).files.keys()].join();
  expect(new Set(Array.from({ length: 50 }, names))).toEqual(new Set(['', 'new', 'old']));
  disk.apply({ step: 'syncDirectory', path: '' });
  expect(new Set(Array.from({ length: 50 }, names))).toEqual(new Set(['old']));
});
