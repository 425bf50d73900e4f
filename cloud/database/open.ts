/** One way to the database: pg's pool and kysely over it, whether PostgreSQL serves or PGlite inside this process. */
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { migrate } from './migrations.ts';
import { createListener, type Listener } from './listener.ts';
import { openPglite } from './pglite.ts';
import type { Schema } from './schema.ts';

export interface Database {
  readonly kind: 'pglite' | 'postgres';
  readonly db: Kysely<Schema>;
  readonly pool: pg.Pool;
  /** Runs `work` while no other process of ours on this database runs its own. Not to be nested. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Calls `heard` with every notification, and with '' when some may have been lost. Embedded: nobody notifies. */
  listen(heard: (text: string) => void): Listener;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://…`, `pglite:DIRECTORY`, or `pglite:memory://` for tests. */
  url: string;
  clock: Clock;
  log: Log;
  /** Connections to PostgreSQL at most; PGlite has one. */
  connections_max?: number;
}

const PGLITE = 'pglite:';
/** Of pg_advisory_lock; any number that nobody else uses. */
const ALONE_LOCK = 7_461_001;

/** Opens and migrates. Throws Fault DATABASE_UNAVAILABLE, DATABASE_LOCKED or MIGRATION_FAILED. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const embedded = options.url.startsWith(PGLITE)
    ? await openPglite(options.url.slice(PGLITE.length), options.clock, options.log)
    : null;
  const pool = embedded?.pool ?? postgresPool(options.url, options.connections_max ?? 12);
  // The pool drops a connection that breaks, idle or in use; the query on it, or the next one, reports what is wrong.
  const lost = (error: Error) => {
    options.log('debug', 'database.connection-lost', { problem: error.message });
  };
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', lost));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  const close = async () => {
    await db.destroy();
    await embedded?.close();
  };
  try {
    await reach(pool);
    // The embedded database has one process, by the lock of its directory.
    const alone = <T>(work: () => Promise<T>) =>
      embedded === null ? runAlone(options.url, work) : work();
    const applied = await alone(() => migrate(db));
    const kind = embedded === null ? 'postgres' : 'pglite';
    options.log('info', 'database.open', { kind, migrations: applied.join(',') });
    const listen = (heard: (text: string) => void) =>
      embedded === null ? createListener({ ...options, heard }) : { stop: async () => {} };
    return { kind, db, pool, alone, listen, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function postgresPool(url: string, connections_max: number): pg.Pool {
  return new pg.Pool({
    connectionString: url,
    max: connections_max,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    pipeline: true,
    application_name: 'waystation',
    statement_timeout: 60_000,
    query_timeout: 75_000, // a server that is gone without a word
    idle_in_transaction_session_timeout: 60_000,
  });
}

/** On a connection of its own: one of the pool would be missing for the work, and a lock must not outlive its holder. */
async function runAlone<T>(url: string, work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    application_name: 'waystation-alone',
  });
  client.on('error', () => {}); // the work's own queries report what is wrong
  try {
    await client.connect();
    await client.query('select pg_advisory_lock($1)', [ALONE_LOCK]);
  } catch (cause) {
    await client.end().catch(() => {});
    throw unavailable(cause);
  }
  try {
    return await work();
  } finally {
    await client.end().catch(() => {});
  }
}

function unavailable(cause: unknown): Fault {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new Fault('DATABASE_UNAVAILABLE', { problem }, cause);
}

async function reach(pool: pg.Pool): Promise<void> {
  try {
    await pool.query('select 1');
  } catch (cause) {
    throw unavailable(cause);
  }
}
