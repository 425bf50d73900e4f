/**
 * Keeps clouds on one database in touch. What has happened stands in the tables; a bulletin says where to look, a
 * notification that there is one. A lost notification costs a second, a lost bulletin a reading of everything.
 */
import type { Kysely } from 'kysely';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { Database } from '../database/open.ts';
import type { Listener } from '../database/listener.ts';
import type { Schema } from '../database/schema.ts';
import { Bulletin, createBulletinPad } from './bulletin.ts';
import { NO_NEIGHBOURS, stepNeighbours, type Neighbours } from './neighbours.ts';
import {
  knock,
  leaveRegister,
  newestBulletin,
  readBulletins,
  readPeers,
  READ_ROWS_MAX,
  signRegister,
  writeBulletin,
} from './register.ts';

/** One bulletin, and one commit, for all that happens in this time. */
export const TELL_MS = 150;
/** Bulletins are read at a notification; and at least so often, should one be lost. */
export const READ_MS = 1_000;
export const SIGN_MS = 2_000;
/** Cut off for longer than this: bulletins may have been cleared away unread. */
const CUT_OFF_MS = 30_000;
/** After this every neighbour knows that it has to tell us. */
const JOINED_MS = 2 * SIGN_MS + 500;
/** A database that is away is not waited for: then the others find out by themselves. */
const GOODBYE_MS = 1_000;
/** Bulletins written in one turn; what is left goes with the next. */
const TOLD_MAX = 20;

export interface Exchange {
  /** Something happened here. Told to the others soon; dropped when there are none. */
  tell(news: Partial<Bulletin>): void;
  /** A stream of these gateways or groups has opened or ended here: noted in the register, then told. */
  moved(reach: string): void;
  /** Does a living neighbour hold a stream to these stations? */
  isReached(reach: string): boolean;
  start(): Promise<void>;
  /** Says goodbye. */
  stop(): Promise<void>;
  readonly counts: {
    neighbours: number;
    told: number;
    heard: number;
    overflows: number;
    anew: number;
  };
}

export interface ExchangeParts {
  database: Database;
  clock: Clock;
  log: Log;
  /** Of this process, new at every start. */
  id: string;
  /** Gateways and groups with a stream here. */
  reaches: () => readonly string[];
  /** A neighbour told this. */
  heard: (bulletin: Bulletin) => Promise<void>;
  /** Something may have been missed: everything is to be read anew. */
  missed: () => void;
  /** The gateways of neighbours came or went. */
  reachMoved: (reach: string) => void;
}

/** Never twice at once; asked meanwhile, once more. */
function singly(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let again = false;
  const run = async () => {
    do {
      again = false;
      await work();
    } while (again);
  };
  return () => {
    again = true;
    running ??= run().finally(() => (running = null));
    return running;
  };
}

/** The embedded database has one process: there is nobody to tell. */
function alone(): Exchange {
  return {
    tell() {},
    moved() {},
    isReached: () => false,
    async start() {},
    async stop() {},
    counts: { neighbours: 0, told: 0, heard: 0, overflows: 0, anew: 0 },
  };
}

export function createExchange(parts: ExchangeParts): Exchange {
  return parts.database.kind === 'pglite' ? alone() : createSharedExchange(parts);
}

function createSharedExchange(parts: ExchangeParts): Exchange {
  const { clock, id } = parts;
  const db: Kysely<Schema> = parts.database.db;
  const pad = createBulletinPad();
  const outage = outageLog(parts.log, clock, 'clouds.out-of-touch', 'clouds.in-touch');
  const counts = { told: 0, heard: 0, anew: 0 };
  let neighbours: Neighbours = NO_NEIGHBOURS;
  let place = '0';
  let read_at = clock.mono();
  let timers: Timer[] = [];
  let listener: Listener | null = null;
  let stopped = false;

  const failed = (error: unknown) =>
    outage.failed({ problem: error instanceof Error ? error.message : String(error) });
  function missed(): void {
    counts.anew += 1;
    parts.missed();
  }
  async function look(): Promise<void> {
    const step = stepNeighbours(neighbours, await readPeers(db, id));
    neighbours = step.next;
    if (neighbours.ids.length === 0) pad.clear();
    for (const reach of step.moved) parts.reachMoved(reach);
    if (step.died) missed();
    if (step.came) parts.log('info', 'clouds.neighbours', { clouds: neighbours.ids.length });
  }
  const sign = singly(async () => {
    if (stopped) return;
    try {
      await signRegister(db, id, parts.reaches());
      await look();
      outage.worked();
    } catch (error) {
      failed(error);
    }
  });
  async function hear({ cloud, body }: { cloud: string; body: unknown }): Promise<void> {
    if (cloud === id) return;
    const bulletin = Bulletin.safeParse(body);
    counts.heard += 1;
    // Of a newer version that says more than we know: the tables say it all.
    if (!bulletin.success || bulletin.data.everything) missed();
    if (!bulletin.success) return;
    if (bulletin.data.reaches.length > 0) await look();
    await parts.heard(bulletin.data);
  }
  const read = singly(async () => {
    if (stopped) return;
    try {
      if (clock.mono() - read_at > CUT_OFF_MS) {
        place = await newestBulletin(db);
        missed();
      }
      for (;;) {
        const rows = await readBulletins(db, place);
        for (const row of rows) {
          await hear(row);
          place = row.id;
        }
        read_at = clock.mono();
        if (rows.length < READ_ROWS_MAX) return;
      }
    } catch (error) {
      failed(error);
    }
  });
  const tell = singly(async () => {
    for (let written = 0; written < TOLD_MAX; written += 1) {
      const bulletin = pad.take();
      if (bulletin === null) return;
      try {
        await writeBulletin(db, id, bulletin);
        counts.told += 1;
      } catch (error) {
        // Perhaps written all the same; read twice does no harm.
        pad.giveUp();
        return failed(error);
      }
    }
  });

  return {
    tell(news) {
      if (neighbours.ids.length > 0) pad.add(news);
    },
    moved(reach) {
      void sign().then(() => {
        if (neighbours.ids.length === 0) return;
        pad.add({ reaches: [reach] });
        return tell();
      });
    },
    isReached: (reach) => neighbours.reaches.has(reach),
    async start() {
      place = await newestBulletin(db);
      await signRegister(db, id, parts.reaches());
      await look();
      // Those that were here before look at the register, and begin to tell.
      if (neighbours.ids.length > 0) await knock(db);
      listener = parts.database.listen((teller) => {
        if (teller === id) return;
        void read();
        if (teller === '') void sign();
      });
      timers = [
        clock.every(TELL_MS, () => void tell()),
        clock.every(READ_MS, () => void read()),
        clock.every(SIGN_MS, () => void sign()),
        clock.after(JOINED_MS, () => neighbours.ids.length > 0 && missed()),
      ];
    },
    async stop() {
      timers.forEach((timer) => timer.stop());
      const goodbye = async () => {
        await listener?.stop();
        await tell();
        stopped = true;
        await sign();
        await leaveRegister(db, id);
      };
      await Promise.race([goodbye().catch(failed), clock.sleep(GOODBYE_MS)]);
    },
    get counts() {
      return { ...counts, neighbours: neighbours.ids.length, overflows: pad.counts.overflows };
    },
  };
}
