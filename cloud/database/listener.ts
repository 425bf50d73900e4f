/** Hears PostgreSQL's notifications on a connection of its own. They are hints: what they point at stands in the tables. */
import pg from 'pg';
import { backoff } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';

export const CHANNEL = 'waystation_clouds';

export interface Listener {
  stop(): Promise<void>;
}

/** `heard` is called with the text of every notification, and with '' after every (re)connect: some may have been lost. */
export function createListener(parts: {
  url: string;
  clock: Clock;
  log: Log;
  heard: (text: string) => void;
}): Listener {
  const { url, clock, heard } = parts;
  const stopping = new AbortController();
  const outage = outageLog(parts.log, clock, 'database.deaf', 'database.hears');
  let client: pg.Client | null = null;

  /** Resolves when the connection is over. */
  async function listen(): Promise<void> {
    const connection = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      application_name: 'waystation-listener',
    });
    const over = new Promise<void>((resolve) => {
      connection.on('error', () => resolve());
      connection.on('end', () => resolve());
    });
    client = connection;
    connection.on('notification', ({ payload }) => heard(payload ?? ''));
    try {
      await connection.connect();
      await connection.query(`listen ${CHANNEL}`);
      outage.worked();
      heard('');
      await over;
    } finally {
      client = null;
      await connection.end().catch(() => {});
    }
  }
  async function run(): Promise<void> {
    // Jitter is of no use here: a database has a handful of clouds.
    let waits = backoff(() => 1, { first_ms: 200, max_ms: 5_000 });
    while (!stopping.signal.aborted) {
      try {
        await listen();
        waits = backoff(() => 1, { first_ms: 200, max_ms: 5_000 });
      } catch (error) {
        outage.failed({ problem: error instanceof Error ? error.message : String(error) });
      }
      await clock.sleep(waits.next().value, stopping.signal);
    }
  }
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await client?.end().catch(() => {});
      await running;
    },
  };
}
