/** What can happen to a file on a station's flash besides a power cut: each damage is a function of chance. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const pick = (random: () => number, count: number) => Math.floor(random() * count);

function edit(path: string, change: (bytes: Buffer) => Buffer | void): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes) ?? bytes);
}
const noise = (length: number, random: () => number) =>
  Buffer.from(Array.from({ length }, () => pick(random, 256)));

/** `path`: the outbox's file, its journal beside it. */
export const DAMAGES = {
  flippedBits: (path, random) =>
    edit(path, (bytes) => {
      for (let count = 1 + pick(random, 8); count > 0; count -= 1) {
        const at = pick(random, bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(random, 8));
      }
    }),
  zeroedPages: (path, random) =>
    edit(path, (bytes) => {
      const page = 4096 * pick(random, bytes.length / 4096);
      bytes.fill(0, page, Math.min(bytes.length, page + 4096 * (1 + pick(random, 3))));
    }),
  erasedBlock: (path, random) =>
    edit(path, (bytes) => void bytes.fill(0xff, 512 * pick(random, bytes.length / 512))),
  truncated: (path, random) => edit(path, (bytes) => bytes.subarray(0, pick(random, bytes.length))),
  garbageHeader: (path, random) => edit(path, (bytes) => void noise(100, random).copy(bytes)),
  flippedJournal: (path, random) =>
    edit(`${path}-wal`, (bytes) => {
      const at = pick(random, bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(random, 8));
    }),
  strangeJournal: (path, random) => writeFileSync(`${path}-wal`, noise(20_000, random)),
  noJournal: (path) => rmSync(`${path}-wal`, { force: true }),
  noFile: (path) => rmSync(path),
  zeroLength: (path) => writeFileSync(path, ''),
  directoryInPlace: (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  directoryForJournal: (path) => {
    rmSync(`${path}-wal`, { force: true });
    mkdirSync(`${path}-wal`);
  },
  directoryForBallast: (path) => {
    rmSync(`${path}.ballast`, { force: true });
    mkdirSync(`${path}.ballast`);
  },
} as const satisfies Record<string, (path: string, random: () => number) => void>;
export type Damage = keyof typeof DAMAGES;
