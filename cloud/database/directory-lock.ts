/** One process a data directory: a second one would silently lose what it commits. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
    setAsideDead(path, directory);
    if (!tryCreate(path, mine)) throw new Fault('DATABASE_LOCKED', { directory });
  }
  return {
    release() {
      if (readHolder(path) === mine) rmSync(path, { force: true });
    },
  };
}

/** The file appears with its content or not at all: a process killed in between leaves no riddle behind. */
function tryCreate(path: string, owner: string): boolean {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, owner);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Moves the lock away before judging it again: of two that found it dead, the second may hold the first one's. */
function setAsideDead(path: string, directory: string): void {
  const locked = (holder: string) =>
    new Fault('DATABASE_LOCKED', { directory, pid: pidOf(holder) });
  const holder = readHolder(path);
  if (holder === null) return;
  if (isAlive(holder)) throw locked(holder);
  const aside = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another process was faster; whether it holds the lock now shows at the next try
  }
  const moved = readHolder(aside) ?? '';
  const mistaken = isAlive(moved);
  if (mistaken) linkSync(aside, path);
  rmSync(aside, { force: true });
  if (mistaken) throw locked(moved);
}

function isAlive(owner: string): boolean {
  return owner !== '' && owner === ownerLine(pidOf(owner));
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
