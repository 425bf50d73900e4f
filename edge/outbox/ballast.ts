/** Disk space kept in hand, so that an outbox on a full disk can still trim: deleting needs room in the journal too. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs';

export interface Ballast {
  /** Gives the space back to the file system. */
  release(): void;
  /** Takes it again; false while the disk has no room for it. */
  restore(): boolean;
}

/** A file of `bytes` beside the outbox. Zeros do: the file systems of stations neither compress nor leave holes for writes. */
export function createBallast(path: string, bytes: number): Ballast {
  const release = () => rmSync(path, { force: true });
  return {
    release,
    restore() {
      if (existsSync(path) && statSync(path).size === bytes) return true;
      let file: number | null = null;
      try {
        file = openSync(path, 'w');
        for (let at = 0; at < bytes; ) at += writeSync(file, Buffer.alloc(Math.min(65_536, bytes - at)));
        fsyncSync(file);
        return true;
      } catch {
        release();
        return false;
      } finally {
        if (file !== null) closeSync(file);
      }
    },
  };
}

/** For an outbox in memory. */
export const noBallast: Ballast = { release: () => {}, restore: () => true };
