/** A small disk of its own for one process, which can be filled up and freed again. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@waystation/runtime/fault';

export interface Disk {
  readonly path: string;
  /** Eats all the space there is. */
  fill(): void;
  free(): void;
  unmount(): void;
}

const CHUNK_BYTES = 64 * 1024;
/** The last bytes go page by page. */
const PAGE_BYTES = 4_096;

function eat(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (const bytes of [CHUNK_BYTES, PAGE_BYTES]) {
      const zeros = Buffer.alloc(bytes);
      try {
        while (writeSync(file, zeros) === bytes);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

/** Throws Fault MOUNT_REFUSED where this user may not mount. */
export function mountDisk(path: string, size_mib: number): Disk {
  mkdirSync(path, { recursive: true });
  const done = spawnSync(
    'mount',
    ['-t', 'tmpfs', '-o', `size=${size_mib}m,mode=755`, 'chaos', path],
    { encoding: 'utf8' },
  );
  if (done.status !== 0)
    throw new Fault('MOUNT_REFUSED', { path, problem: String(done.stderr || done.error).trim() });
  const ballast = join(path, 'ballast-of-the-fault');
  return {
    path,
    fill: () => eat(ballast),
    free: () => rmSync(ballast, { force: true }),
    unmount() {
      const lazily = ['-l', path];
      if (spawnSync('umount', [path]).status !== 0) spawnSync('umount', lazily);
    },
  };
}
