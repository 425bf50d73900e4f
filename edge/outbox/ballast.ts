/** Disk space kept in hand, so that an outbox on a full disk can still trim: deleting needs room in the journal too. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import type { Clock } from '@waystation/runtime/clock';

export interface Ballast {
  /** Gives the space back to the file system. */
  release(): void;
  /** Takes it again; false while the disk has no room for it. */
  restore(): boolean;
  /** The same when it is missing, at most one try a minute: the disk may be full for days. */
  keep(): void;
}

const RETRY_MS = 60_000;

/** Zeros do: the file systems of stations neither compress nor leave holes for what was written. */
function fill(path: string, bytes: number): boolean {
  if (existsSync(path)) {
    const found = statSync(path);
    if (found.isFile() && found.size === bytes) return true;
    rmSync(path, { force: true, recursive: true }); // also when something else stands in its place
  }
  let file: number | null = null;
  try {
    file = openSync(path, 'w');
    for (let at = 0; at < bytes;) at += writeSync(file, Buffer.alloc(Math.min(65_536, bytes - at)));
    fsyncSync(file);
    return true;
  } catch {
    rmSync(path, { force: true });
    return false;
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** A file of `bytes` beside the outbox. */
export function createBallast(path: string, bytes: number, clock: Clock): Ballast {
  let tried_at = clock.mono();
  let held = fill(path, bytes);
  const restore = () => {
    tried_at = clock.mono();
    held = fill(path, bytes);
    return held;
  };
  return {
    release() {
      rmSync(path, { force: true });
      held = false;
    },
    restore,
    keep() {
      if (!held && clock.mono() - tried_at >= RETRY_MS) restore();
    },
  };
}

/** For an outbox in memory. */
export const noBallast: Ballast = { release: () => {}, restore: () => true, keep: () => {} };
