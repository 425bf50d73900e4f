/**
 * A disk between a program and a power cut. What was fsynced is there; of what was written since, each sector holds
 * any of the contents it has had since; names change in order but perhaps not yet on the disk. The model is POSIX's,
 * stricter than ext4 in its data: an fsync of a file says nothing of its name, and its size may run ahead of its content.
 * Names are ext4's: one journal, in order; syncing one directory syncs them all.
 */
import assert from 'node:assert/strict';
import type { DiskStep } from './disk-history.ts';

export const SECTOR = 512;
const PAGE = 4096;

type Change = Extract<DiskStep, { step: 'write' | 'truncate' }>;
type Naming = Extract<DiskStep, { step: 'create' | 'rename' | 'unlink' }>;

interface SimulatedFile {
  durable: Buffer;
  /** Written since the last fsync, oldest first. */
  pending: Change[];
}

/** honest: an fsync means what it says. lying: the drive answers a flush of data from its volatile cache. */
export type Flush = 'honest' | 'lying';

export interface Image {
  files: Map<string, Buffer>;
  /** Some write is there in part. */
  torn: boolean;
  /** Some write is there although an earlier one is not. */
  reordered: boolean;
  /** Some sector holds neither old nor new: what its place on the disk held before. */
  stale: boolean;
}

const pick = (random: () => number, count: number) => Math.floor(random() * count);

function applied(content: Buffer, change: Change): Buffer {
  const size =
    change.step === 'truncate'
      ? change.size
      : Math.max(content.length, change.offset + change.bytes.length);
  const next = size === content.length ? Buffer.from(content) : Buffer.alloc(size);
  if (size !== content.length) content.copy(next);
  if (change.step === 'write') change.bytes.copy(next, change.offset);
  return next;
}

/** What `change` makes of the stretch of a file from `from` on. */
function overlay(stretch: Buffer, from: number, change: Change): void {
  if (change.step === 'truncate') {
    if (change.size < from + stretch.length) stretch.fill(0, Math.max(0, change.size - from));
    return;
  }
  const start = Math.max(from, change.offset);
  const end = Math.min(from + stretch.length, change.offset + change.bytes.length);
  if (end > start)
    change.bytes.copy(stretch, start - from, start - change.offset, end - change.offset);
}

function touches(change: Change, from: number, to: number): boolean {
  if (change.step === 'truncate') return change.size < to;
  return change.offset < to && change.offset + change.bytes.length > from;
}

/** Sizes the file has had since its last fsync, the durable one first. */
function sizesOf(file: SimulatedFile): number[] {
  const sizes = [file.durable.length];
  for (const change of file.pending) {
    const size = sizes.at(-1) ?? 0;
    sizes.push(
      change.step === 'truncate'
        ? change.size
        : Math.max(size, change.offset + change.bytes.length),
    );
  }
  return sizes;
}

interface Survival {
  content: Buffer;
  /** By change: how many of its stretches are there, and how many it has. */
  there: number[];
  whole: number[];
  stale: boolean;
}

/** Every stretch by itself is as old as chance makes it. */
function surviveScattered(file: SimulatedFile, random: () => number): Survival {
  const { durable, pending } = file;
  const sizes = sizesOf(file);
  const size = sizes[pick(random, sizes.length)] ?? 0;
  const content = Buffer.alloc(size);
  durable.copy(content, 0, 0, Math.min(size, durable.length));
  const [there, whole] = [pending.map(() => 0), pending.map(() => 0)];
  const leaves_stale = random() < 0.25;
  let stale = false;
  const stretch = (from: number, length: number) => {
    const touching = pending.flatMap((change, n) =>
      touches(change, from, from + length) ? [n] : [],
    );
    const kept = pick(random, touching.length + 1);
    touching.forEach((n, order) => {
      whole[n] = (whole[n] ?? 0) + 1;
      if (order < kept) there[n] = (there[n] ?? 0) + 1;
    });
    const part = content.subarray(from, Math.min(size, from + length));
    if (kept === 0 && leaves_stale && touching.length > 0 && from >= durable.length) {
      for (let at = 0; at < part.length; at += 1) part[at] = pick(random, 256);
      stale ||= part.length > 0;
    }
    for (const n of touching.slice(0, kept)) {
      const change = pending[n];
      if (change) overlay(part, from, change);
    }
  };
  const end = Math.max(...sizes);
  for (let page = 0; page < end; page += PAGE) {
    const touched = pending.some((change) => touches(change, page, page + PAGE));
    if (!touched) continue;
    if (random() < 0.5) stretch(page, PAGE);
    else for (let at = page; at < page + PAGE; at += SECTOR) stretch(at, SECTOR);
  }
  return { content, there, whole, stale };
}

/** In order, the last one perhaps cut at a sector. */
function survivePrefix(file: SimulatedFile, random: () => number): Survival {
  const { durable, pending } = file;
  const kept = pick(random, pending.length + 1);
  const there: number[] = pending.map((_, n) => (n < kept ? 2 : 0));
  let content = pending.slice(0, kept).reduce(applied, durable);
  const last = pending[kept];
  if (last?.step === 'write' && last.bytes.length > SECTOR && random() < 0.7) {
    const border = Math.ceil((last.offset + 1) / SECTOR) * SECTOR - last.offset;
    const sectors = Math.ceil((last.bytes.length - border) / SECTOR);
    const length = Math.min(last.bytes.length, border + pick(random, sectors + 1) * SECTOR);
    content = applied(content, { ...last, bytes: last.bytes.subarray(0, length) });
    there[kept] = length === last.bytes.length ? 2 : 1;
  }
  return { content, there, whole: pending.map(() => 2), stale: false };
}

export class SimulatedDisk {
  readonly #flush: Flush;
  readonly #files = new Map<number, SimulatedFile>();
  readonly #names = new Map<string, number>();
  /** Not yet known to be on the disk, oldest first; a journal of names keeps their order. */
  #naming: Naming[] = [];

  constructor(flush: Flush) {
    this.#flush = flush;
  }

  #file(inode: number): SimulatedFile {
    const file = this.#files.get(inode);
    assert(file, 'a step on a file that was never created');
    return file;
  }

  #name(names: Map<string, number>, naming: Naming): void {
    if (naming.step === 'create') names.set(naming.path, naming.inode);
    else if (naming.step === 'unlink') names.delete(naming.path);
    else {
      const inode = names.get(naming.from);
      assert(inode !== undefined);
      names.delete(naming.from);
      names.set(naming.to, inode);
    }
  }

  apply(step: DiskStep): void {
    switch (step.step) {
      case 'create':
        this.#files.set(step.inode, { durable: Buffer.alloc(0), pending: [] });
        this.#naming.push(step);
        return;
      case 'rename':
      case 'unlink':
        this.#naming.push(step);
        return;
      case 'write':
      case 'truncate':
        this.#file(step.inode).pending.push(step);
        return;
      case 'sync': {
        const file = this.#file(step.inode);
        if (this.#flush === 'lying') return;
        file.durable = file.pending.reduce(applied, file.durable);
        file.pending = [];
        return;
      }
      case 'syncDirectory':
        // One journal holds the names of every directory: syncing one writes what came before in all of them.
        for (const naming of this.#naming) this.#name(this.#names, naming);
        this.#naming = [];
        return;
      case 'said':
        return;
      default:
        step satisfies never;
    }
  }

  /** What may be found after a cut now. */
  cut(random: () => number): Image {
    const names = new Map(this.#names);
    for (const naming of this.#naming.slice(0, pick(random, this.#naming.length + 1)))
      this.#name(names, naming);
    const image: Image = { files: new Map(), torn: false, reordered: false, stale: false };
    const scattered = random() < 0.7;
    for (const [path, inode] of names) {
      const file = this.#file(inode);
      if (file.pending.length === 0) {
        image.files.set(path, file.durable);
        continue;
      }
      const { content, there, whole, stale } = (scattered ? surviveScattered : survivePrefix)(
        file,
        random,
      );
      image.files.set(path, content);
      const missing = there.findIndex((count, n) => count < (whole[n] ?? 0));
      image.torn ||= there.some((count, n) => count > 0 && count < (whole[n] ?? 0));
      image.reordered ||= missing >= 0 && there.some((count, n) => n > missing && count > 0);
      image.stale ||= stale;
    }
    return image;
  }
}
