/** The embedded PostgreSQL, with what it lacks by itself: fsync, checkpoints, vacuum, a lock, turns for the event loop. */
import { fsyncSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import pg from 'pg';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { lockDirectory } from './directory-lock.ts';

/** As directory: everything is gone when the process ends. For tests. */
export const IN_MEMORY = 'memory://';

/** One connection: a query behind a forgotten transaction fails instead of waiting for ever. */
const CONNECT_TIMEOUT_MS = 30_000;
/** Checkpoints and vacuum are never automatic in single-user mode: the log would only grow. */
const CHECKPOINT_PERIOD_MS = 120_000;
const VACUUM_PERIOD_MS = 3_600_000;
/** Queries resolve as microtasks: without a turn of the loop in between they starve timers and sockets. */
const TURN_MS = 8;

type PostgresModule = Parameters<NodeFS['init']>[1];
interface StreamOperations {
  fsync?: (stream: { nfd?: number }) => number;
}

/** PGlite's own file system writes without fsync (its fdatasync is empty): this adds the operation. */
class DurableNodeFS extends NodeFS {
  override async init(pglite: PGlite, options: PostgresModule) {
    const result = await super.init(pglite, options);
    result.emscriptenOpts.preRun?.push((module) => {
      const operations = (module.NODEFS as unknown as { stream_ops: StreamOperations }).stream_ops;
      operations.fsync = ({ nfd }) => {
        if (nfd !== undefined) fsyncSync(nfd);
        return 0;
      };
    });
    return result;
  }
}

export interface EmbeddedPool {
  pool: pg.Pool;
  close(): Promise<void>;
}

/** Opens `directory` (made when missing). Throws Fault DATABASE_LOCKED, DATABASE_UNAVAILABLE. */
export async function openPglite(directory: string, clock: Clock, log: Log): Promise<EmbeddedPool> {
  const durable = directory !== IN_MEMORY;
  if (durable) mkdirSync(dirname(directory), { recursive: true });
  const lock = durable ? lockDirectory(directory) : { release: () => {} };
  let pglite: PGlite;
  try {
    pglite = durable ? await openDurable(directory) : await PGlite.create(IN_MEMORY);
  } catch (cause) {
    lock.release();
    throw new Fault('DATABASE_UNAVAILABLE', { directory }, cause);
  }
  takeTurns(pglite, clock);
  const pool = new pg.Pool({
    ...(createPgConfig(pglite) as pg.PoolConfig),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    max: 1,
    pipeline: true,
  });
  const keep = (statement: string) => {
    pool.query(statement).catch((error: unknown) => {
      log('warn', 'database.upkeep-failed', { statement, problem: String(error) });
    });
  };
  const timers = durable
    ? [
        clock.every(CHECKPOINT_PERIOD_MS, () => keep('checkpoint')),
        clock.every(VACUUM_PERIOD_MS, () => keep('vacuum analyze')),
      ]
    : [];
  return {
    pool,
    async close() {
      for (const timer of timers) timer.stop();
      await pglite.close();
      lock.release();
    },
  };
}

async function openDurable(directory: string): Promise<PGlite> {
  const pglite = await PGlite.create({
    fs: new DurableNodeFS(directory),
    startParams: [
      ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
      '-c',
      'wal_sync_method=fsync',
    ],
  });
  const { rows } = await pglite.query<{ fsync: string }>('show fsync');
  if (rows[0]?.fsync === 'on') return pglite;
  await pglite.close();
  throw new Fault('DATABASE_UNAVAILABLE', { directory, problem: 'fsync could not be switched on' });
}

function takeTurns(pglite: PGlite, clock: Clock): void {
  const exec = pglite.execProtocolStream.bind(pglite);
  let turned_at = clock.mono();
  pglite.execProtocolStream = async (message, options) => {
    const result = await exec(message, options);
    if (clock.mono() - turned_at > TURN_MS) {
      await new Promise(setImmediate);
      turned_at = clock.mono();
    }
    return result;
  };
}
