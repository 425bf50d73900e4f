/** A wall clock of one process that jumps by order (libfaketime); its monotonic clock stays what it is. */
import { renameSync, writeFileSync } from 'node:fs';
import { requirePart } from '../servers/parts.ts';

export interface FakedClock {
  /** For the process that is to live by it. */
  readonly env: Readonly<Record<string, string>>;
  /** The process' wall clock is from now on so far from the real one. */
  jump(offset_s: number): void;
}

export function fakedClock(path: string): FakedClock {
  const jump = (offset_s: number) => {
    writeFileSync(`${path}.new`, `${offset_s < 0 ? '-' : '+'}${Math.abs(offset_s)}\n`);
    renameSync(`${path}.new`, path);
  };
  jump(0);
  return {
    env: {
      LD_PRELOAD: requirePart('faketime'),
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    },
    jump,
  };
}
