/** Damaged outbox files: renamed out of the way for inquiry, and only so many kept that failing flash cannot fill itself. */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The newest stay. */
const ASIDES_KEPT = 4;

/** Renames a damaged file and its journal out of the way. Returns the new name: with the first free number from `tag` on. */
export function setAside(path: string, tag: number): string {
  const named = (number: number) => `${path}.corrupt-${number}`;
  let free = tag;
  while (existsSync(named(free))) free += 1; // a clock that starts anew at each boot gives the same time twice
  const aside = named(free);
  if (existsSync(path)) renameSync(path, aside);
  const journal = `${path}-wal`;
  // What is no file would keep the salvage from opening the file beside it.
  if (existsSync(journal))
    renameSync(journal, statSync(journal).isFile() ? `${aside}-wal` : `${aside}.no-journal`);
  rmSync(`${path}-shm`, { force: true });
  forgetOldest(path);
  return aside;
}

/** Numbers that are no later than another's belong to a clock that began anew: the file system's order decides. */
function forgetOldest(path: string): void {
  const directory = dirname(path);
  const prefix = `${basename(path)}.corrupt-`;
  const asides = readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => ({ name, changed_ms: statSync(join(directory, name)).ctimeMs }))
    .toSorted((a, b) => b.changed_ms - a.changed_ms || (a.name < b.name ? 1 : -1));
  for (const { name } of asides.slice(ASIDES_KEPT))
    for (const end of ['', '-wal', '-shm', '.no-journal'])
      rmSync(join(directory, name + end), { recursive: true, force: true });
}
