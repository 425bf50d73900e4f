/** Keeps the status board true to the database and tells the open pages, once a second, what moved. */
import type { Kysely } from 'kysely';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { Schema } from '../database/schema.ts';
import type { HubMessage } from '../live/hub.ts';
import { readFacts, type StatusBoard } from './board.ts';
import type { Directory } from './directory.ts';

const FLUSH_MS = 1000;
/** Statuses also move because time goes by. */
const LOOK_AGAIN_MS = 30_000;

export interface StationWatch {
  /** Reads everything; after this the board is true. */
  start(): Promise<void>;
  stop(): void;
  /** Something of these stations was committed. */
  touch(station_ids: Iterable<number>): void;
  /** Any station may have changed without our being told. */
  touchAll(): void;
  /** Reads what was touched and publishes what moved; the timer calls it every second. */
  flush(): Promise<void>;
}

export function createStationWatch(parts: {
  db: Kysely<Schema>;
  directory: Directory;
  board: StatusBoard;
  clock: Clock;
  log: Log;
  publish: (message: HubMessage) => void;
}): StationWatch {
  const { db, directory, board, clock, publish } = parts;
  const outage = outageLog(
    parts.log,
    clock,
    'stations.state-unreadable',
    'stations.state-readable',
  );
  let touched = new Set<number>();
  let all_touched = false;
  let reading = false;
  let timers: Timer[] = [];

  async function read(ids: readonly number[] | 'all'): Promise<void> {
    for (const { station_id, ...facts } of await readFacts(db, ids)) {
      const place = directory.placeOfId(station_id);
      if (place !== undefined) board.set(place, facts);
    }
  }
  async function readTouched(): Promise<void> {
    if (reading || (touched.size === 0 && !all_touched)) return;
    const ids = touched;
    const all = all_touched;
    touched = new Set();
    all_touched = false;
    reading = true;
    try {
      await read(all ? 'all' : [...ids]);
      outage.worked();
    } catch (error) {
      for (const id of ids) touched.add(id);
      all_touched ||= all;
      outage.failed({ problem: error instanceof Error ? error.message : String(error) });
    } finally {
      reading = false;
    }
  }
  async function flush(): Promise<void> {
    await readTouched();
    const changes = board.takeChanges();
    if (changes.length > 0) publish({ type: 'states', changes });
  }

  return {
    async start() {
      await read('all');
      board.takeChanges();
      timers = [
        clock.every(FLUSH_MS, () => void flush()),
        clock.every(LOOK_AGAIN_MS, () => board.lookAgain()),
      ];
    },
    stop: () => timers.forEach((timer) => timer.stop()),
    touch(station_ids) {
      for (const id of station_ids) touched.add(id);
    },
    touchAll() {
      all_touched = true;
    },
    flush,
  };
}
