/** A small bounded map beside the outbox: executed command ids, replay counters, the last good time. */
import type { EpochMs } from '@waystation/runtime/clock';
import type { Entry, OutboxFile } from './outbox-file.ts';

export interface DurableTable {
  get(key: string): string | null;
  /**
   * Visible to `get` at once, durable with the next commit: when `store.flush()`, or any `appendEvent` called after it,
   * has resolved. So that what must be remembered with an event costs no fsync of its own.
   * Beyond `rows_max` the longest untouched row goes.
   */
  put(key: string, value: string, expires_at?: EpochMs): void;
  delete(key: string): void;
  /** Every row, the longest untouched first. */
  entries(): [key: string, value: string][];
  /** Forgets the rows that expired before `now`; also done at every commit that adds a row. */
  prune(now: EpochMs): void;
}

/** Rows that wait for the commit, over those in the file. */
export interface StagedTable extends DurableTable {
  readonly staged: boolean;
  /** Inside the commit's transaction. */
  write(file: OutboxFile, now: EpochMs): void;
  /** After the commit. */
  settle(): void;
}

export function createTable(
  name: string,
  rows_max: number,
  file: () => OutboxFile,
  now: () => EpochMs,
  changed: () => void,
): StagedTable {
  const staged = new Map<string, Entry | null>();
  let prune_at: EpochMs | null = null;
  const stage = (key: string, entry: Entry | null) => {
    staged.delete(key); // to the end: the order of writing is the order of age
    staged.set(key, entry);
    changed();
  };
  const living = (entry: Entry | null) =>
    entry !== null && (entry.expires_at === null || entry.expires_at > now());
  return {
    get(key) {
      const entry = staged.has(key) ? (staged.get(key) ?? null) : file().entry(name, key);
      return entry !== null && living(entry) ? entry.value : null;
    },
    put: (key, value, expires_at) => stage(key, { value, expires_at: expires_at ?? null }),
    delete: (key) => stage(key, null),
    entries() {
      const all = new Map(file().entries(name));
      for (const [key, entry] of staged) {
        all.delete(key);
        if (entry !== null) all.set(key, entry);
      }
      return [...all]
        .filter(([, entry]) => living(entry))
        .map(([key, entry]) => [key, entry.value]);
    },
    prune(at) {
      prune_at = at;
      changed();
    },
    get staged() {
      return staged.size > 0 || prune_at !== null;
    },
    write(target, at) {
      for (const [key, entry] of staged) target.putEntry(name, key, entry);
      target.pruneEntries(name, rows_max, prune_at ?? at);
    },
    settle() {
      staged.clear();
      prune_at = null;
    },
  };
}
