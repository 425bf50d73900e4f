/**
 * The way of points into the store. A store that is away must not hold up ingest: after one bounded wait the
 * breaker opens, points go to the durable backlog with the ingest transaction, and one replayer empties it.
 * The replay is also the probe: it closes the breaker again.
 */
import type pg from 'pg';
import { backoff } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { type Log, outageLog } from '@waystation/runtime/log';
import { countBacklog, replayOldest } from './backlog.ts';
import type { RejectedPoint, TelemetryPoint, TelemetryStore } from './store.ts';

export interface FeedOptions {
  store: TelemetryStore;
  pool: pg.Pool;
  clock: Clock;
  log: Log;
  random: () => number;
  /** Longest wait for a write before its points go to the backlog. */
  patience_ms?: number;
  /** Points the backlog may hold; beyond it samples stay at their stations. */
  backlog_points_max?: number;
}

export type Offer = { stored: true; rejected: readonly RejectedPoint[] } | { stored: false };

export interface TelemetryFeed {
  readonly store: TelemetryStore;
  /** Writes now, or says within `patience_ms` that the points belong into the backlog. Never rejects. */
  offer(points: readonly TelemetryPoint[]): Promise<Offer>;
  /** So many points were put into the backlog and committed: the replayer begins. */
  backlogGrew(count: number): void;
  /** No room: samples must not be acknowledged until the store is back. */
  isFull(): boolean;
  status(): { available: boolean; backlog_points: number; replayed_points: number };
  /** Counts what an earlier process left, and begins to replay it. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createTelemetryFeed(options: FeedOptions): TelemetryFeed {
  const { store, pool, clock } = options;
  const patience_ms = options.patience_ms ?? 2_000;
  const backlog_points_max = options.backlog_points_max ?? 50_000_000;
  const outage = outageLog(options.log, clock, 'telemetry.away', 'telemetry.back');
  const stopping = new AbortController();
  let available = true;
  let backlog_points = 0;
  let replayed_points = 0;
  let replaying: Promise<void> | null = null;

  const away = (problem: string) => {
    available = false;
    outage.failed({ problem });
  };

  const replay = async (): Promise<void> => {
    const waits = backoff(options.random, { first_ms: 200, max_ms: 5_000 });
    while (!stopping.signal.aborted && backlog_points > 0) {
      try {
        const { read, removed } = await replayOldest(pool, store, clock);
        replayed_points += removed;
        // Other processes may share the table: believe it, not the sum, when it is empty.
        backlog_points = read === 0 ? await countBacklog(pool) : Math.max(1, backlog_points - read);
        available = true;
        outage.worked({ replayed_points });
      } catch (error) {
        if (isFault(error, 'TELEMETRY_UNAVAILABLE')) away(error.message);
        await clock.sleep(waits.next().value, stopping.signal);
      }
    }
  };
  const wake = () => {
    if (replaying !== null || backlog_points === 0 || stopping.signal.aborted) return;
    replaying = replay().finally(() => {
      replaying = null;
      wake(); // something may have come between the last look and the end
    });
  };

  return {
    store,
    async offer(points) {
      if (points.length === 0) return { stored: true, rejected: [] };
      if (!available) return { stored: false };
      const writing = store.write(points).then(
        (rejected): Offer => ({ stored: true, rejected }),
        (error: unknown): Offer => {
          away(error instanceof Error ? error.message : String(error));
          return { stored: false };
        },
      );
      const patience = Promise.withResolvers<Offer>();
      const timer = clock.after(patience_ms, () => {
        away(`no answer in ${patience_ms} ms`);
        patience.resolve({ stored: false });
      });
      const offer = await Promise.race([writing, patience.promise]);
      timer.stop();
      return offer;
    },
    backlogGrew(count) {
      backlog_points += count;
      wake();
    },
    isFull: () => backlog_points >= backlog_points_max,
    status: () => ({ available, backlog_points, replayed_points }),
    async start() {
      backlog_points += await countBacklog(pool);
      wake();
    },
    async stop() {
      stopping.abort();
      await replaying;
      await store.close();
    },
  };
}
