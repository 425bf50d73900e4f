/** Cuts the torn tail off the segments of a stopped InfluxDB 1.x's write-ahead log. */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '@waystation/runtime/fault';
import { wholeBytes } from './wal-segment.ts';

export interface CutSegment {
  file: string;
  bytes_kept: number;
  bytes_cut: number;
}

/**
 * Looks at every segment below `directory`, by name; what is cut stays beside its segment under a name that influxd does not read.
 * Throws Fault USAGE where there is no such directory, DATABASE_LOCKED while a process holds a segment open.
 */
export function cutTornTails(directory: string): CutSegment[] {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Fault('USAGE', { directory, problem: 'no such directory' });
  const root = realpathSync(directory); // as /proc names what is open
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.wal'))
    .toSorted()
    .map((name) => join(root, name));
  const pid = holderOf(new Set(files));
  if (pid !== null) throw new Fault('DATABASE_LOCKED', { directory, pid });
  return files.map(cutTornTail);
}

function cutTornTail(file: string): CutSegment {
  const segment = readFileSync(file);
  const bytes_kept = wholeBytes(segment);
  const bytes_cut = segment.length - bytes_kept;
  if (bytes_cut > 0) {
    // The copy is on the disk before the bytes leave the segment: where it does not fit, nothing is cut.
    // Appended, so that an earlier copy is never written over.
    writeFileSync(`${file}.cut-at-${bytes_kept}`, segment.subarray(bytes_kept), {
      flag: 'a',
      flush: true,
    });
    sync(dirname(file), 'r');
    sync(file, 'r+', (open) => ftruncateSync(open, bytes_kept));
  }
  return { file, bytes_kept, bytes_cut };
}

function sync(path: string, flags: 'r' | 'r+', first: (file: number) => void = () => {}): void {
  const file = openSync(path, flags);
  try {
    first(file);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A process that has one of the files open, as far as this user may see; never one where there is no /proc. */
function holderOf(files: ReadonlySet<string>): number | null {
  for (const pid of listed('/proc').filter((name) => /^\d+$/.test(name)))
    for (const descriptor of listed(`/proc/${pid}/fd`)) {
      const link = `/proc/${pid}/fd/${descriptor}`;
      try {
        if (files.has(readlinkSync(link))) return Number(pid);
      } catch {
        // It was closed meanwhile.
      }
    }
  return null;
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // The process has ended, or is another user's.
  }
}
