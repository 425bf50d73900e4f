/** How the outbox of a station, or of a whole simulated fleet, is opened, and what it promises. */
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { Outbox } from '../ports.ts';
import type { Stamp } from '../time/stamp.ts';
import { createBallast, noBallast } from './ballast.ts';
import type { DurableTable } from './durable-table.ts';
import { isDamage, OutboxEngine, type Opened } from './outbox-engine.ts';
import { setAside } from './asides.ts';
import { openOutboxFile, troubleOf, type OutboxFile } from './outbox-file.ts';

export interface OutboxStoreOptions {
  path: string;
  clock: Clock;
  random: () => number;
  /** immediate: every event commits alone (those of one turn of the loop together). grouped: one commit per group, for fleets. */
  commit: 'immediate' | { grouped_ms: number };
  /** Beyond it the oldest samples give way; events may use a quarter more, then appending fails with OUTBOX_FULL. */
  disk_budget_bytes: number;
  log: Log;
  /**
   * Samples commit when this many wait or after this long, whichever is first; at once when nothing was committed for
   * as long (immediate mode).
   */
  sample_group?: { records: number; after_ms: number };
}

export interface OutboxCounters {
  commits: number;
  refused_commits: number;
  samples_thinned: number;
  samples_dropped: number;
  epochs_begun: number;
  files_set_aside: number;
}

export interface OutboxStore {
  /** Opens the station's two streams, begun with an `epoch` event when they are new. Throws Fault OUTBOX_FULL. */
  outbox(station: StationCode, stamp: () => Stamp): Outbox;
  table(name: string, limits: { rows: number }): DurableTable;
  /** Wall minus mono of a boot whose clock is now set: re-stamps its records on their way up. The first one stands. Throws nothing; durable with the next commit. */
  setOffset(boot: string, offset_ms: number): void;
  /** Resolves when everything staged is durable. Rejects with Fault OUTBOX_FULL. */
  flush(): Promise<void>;
  counters(): Readonly<OutboxCounters>;
  usedBytes(): number;
  /** Commits what is staged, if the disk lets it, and closes the file. */
  close(): void;
}

/** More than the write-ahead log grows to before it is checkpointed. */
const BALLAST_BYTES = 512 * 1024;

/** Opens or creates `path`; a damaged file is set aside. Throws Fault DATABASE_LOCKED or OUTBOX_FULL. */
export function openOutboxStore(options: OutboxStoreOptions): OutboxStore {
  const { path, log, clock } = options;
  const limit_bytes = options.disk_budget_bytes * 1.25;
  const replace = (damage: Error): Opened => {
    const aside = setAside(path, clock.wall());
    log('error', 'outbox.corrupt', { aside, cause: damage.message });
    return { file: openOutboxFile(path, limit_bytes), aside };
  };
  const open = (): Opened => {
    try {
      return { file: openOutboxFile(path, limit_bytes), aside: null };
    } catch (error) {
      if (isDamage(error)) return replace(error);
      throw troubleOf(error) === 'refused' ? new Fault('OUTBOX_FULL', { path }, error) : error;
    }
  };
  return new OutboxEngine(
    options,
    createBallast(`${path}.ballast`, BALLAST_BYTES, clock),
    open,
    replace,
  );
}

/** The same on an open file that cannot be set aside: simulations restart a station on a database in memory. */
export function outboxStoreOn(
  file: OutboxFile,
  options: Omit<OutboxStoreOptions, 'path'>,
): OutboxStore {
  const rethrow = (damage: Error): never => {
    throw damage;
  };
  return new OutboxEngine(options, noBallast, () => ({ file, aside: null }), rethrow);
}
