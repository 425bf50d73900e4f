/** Replaces a small file as a whole and durably: after a power cut there is the old content or the new, never half. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes beside it, fsyncs, renames over it, fsyncs the directory. Throws what the file system throws. */
export function replaceFile(path: string, content: Uint8Array | string, mode = 0o644): void {
  const bytes = Buffer.from(content);
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true }); // what a cut write left has perhaps another mode
  const file = openSync(temporary, 'wx', mode);
  try {
    for (let written = 0; written < bytes.length; written += writeSync(file, bytes, written));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
