/** An ingest on a test database, with its telemetry in the same database, and what it committed. */
import type { Database } from '@waystation/cloud/database/open';
import type { CommittedBatch } from '@waystation/cloud/ingest/batch';
import { createIngest, type Ingest } from '@waystation/cloud/ingest/ingest';
import { createTelemetryFeed, type TelemetryFeed } from '@waystation/cloud/telemetry/feed';
import { createSqlTelemetry } from '@waystation/cloud/telemetry/sql';
import type { TelemetryStore } from '@waystation/cloud/telemetry/store';
import type { Ack } from '@waystation/protocol/uplink';
import type { Frame } from '@waystation/protocol/gateway-link';
import { type Clock, systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';

export interface IngestWorld {
  ingest: Ingest;
  telemetry: TelemetryFeed;
  batches: CommittedBatch[];
  /** Sends the frames as one batch. Returns the acknowledgements without station and stream epoch noise. */
  send(...frames: Frame[]): Promise<Ack[]>;
  rows(table: string, order?: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export function createIngestWorld(
  database: Database,
  options: {
    store?: TelemetryStore;
    clock?: Clock;
    backlog_points_max?: number;
    patience_ms?: number;
  } = {},
): IngestWorld {
  const clock = options.clock ?? systemClock();
  const parts = { pool: database.pool, clock, log: silentLog, random: prng(1) };
  const telemetry = createTelemetryFeed({
    ...parts,
    store: options.store ?? createSqlTelemetry(database.pool),
    ...(options.backlog_points_max === undefined
      ? {}
      : { backlog_points_max: options.backlog_points_max }),
    ...(options.patience_ms === undefined ? {} : { patience_ms: options.patience_ms }),
  });
  const batches: CommittedBatch[] = [];
  const ingest = createIngest({
    database,
    telemetry,
    clock,
    log: silentLog,
    onCommitted: (batch) => batches.push(batch),
  });
  return {
    ingest,
    telemetry,
    batches,
    async send(...frames) {
      const { acks } = await ingest.ingest(frames, 'test');
      return acks.map(({ ack }) => ack);
    },
    async rows(table, order = '1, 2, 3') {
      const result = await database.pool.query<Record<string, unknown>>(
        `select * from ${table} order by ${order}`,
      );
      return result.rows;
    },
    async stop() {
      await ingest.stop();
      await telemetry.stop();
    },
  };
}
