/** One process a data directory: a second one would silently lose what it commits. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { Fault } from '@waystation/runtime/fault';

export interface DirectoryLock {
  release(): void;
}

/**
 * Takes `DIR.lock`, or takes it over from a process that lives no more.
 * Throws Fault DATABASE_LOCKED when another living process holds it.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const path = `${directory.replace(/\/+$/, '')}.lock`;
  const mine = ownerLine(process.pid);
  if (!tryCreate(path, mine)) {
    const holder = readHolder(path);
    if (holder !== null && holder === ownerLine(pidOf(holder)))
      throw new Fault('DATABASE_LOCKED', { directory, pid: pidOf(holder) });
    rmSync(path, { force: true });
    if (!tryCreate(path, mine)) throw new Fault('DATABASE_LOCKED', { directory });
  }
  return {
    release() {
      if (readHolder(path) === mine) rmSync(path, { force: true });
    },
  };
}

function tryCreate(path: string, owner: string): boolean {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, owner);
    closeSync(file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // released in this very moment
  }
}

function pidOf(owner: string): number {
  return Number.parseInt(owner, 10);
}

/** `PID START`, or the empty text when no such process lives. The start tells a reused number from the owner (proc(5), field 22). */
function ownerLine(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return '';
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return '';
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
  } catch {
    return `${pid} `; // a system without /proc
  }
}
