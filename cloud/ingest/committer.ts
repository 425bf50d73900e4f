/** Batches of one stream kind into the tables: telemetry first or into the backlog, then one transaction, then the news. */
import type { UplinkAnswer } from '@waystation/protocol/gateway-link';
import type { SampleRecord } from '@waystation/protocol/records';
import type { Stream } from '@waystation/protocol/topics';
import { Fault } from '@waystation/runtime/fault';
import { outageLog } from '@waystation/runtime/log';
import type { TelemetryPoint } from '../telemetry/store.ts';
import type { StationMessage } from './batch.ts';
import type { IngestCounts, IngestOptions } from './ingest.ts';
import { acksOf, NO_TELEMETRY, type TelemetryFate } from './plan.ts';
import { restamp } from './time.ts';
import { commitBatch, type Committed, sqlState } from './transaction.ts';

export type Acks = UplinkAnswer['acks'];

interface Batch {
  stream: Stream;
  messages: readonly StationMessage[];
  telemetry: TelemetryFate;
  to_backlog: boolean;
}

export interface Committer {
  /** Resolves with the acknowledgements after the commit. Rejects with Fault DATABASE_UNAVAILABLE. */
  events(messages: readonly StationMessage[]): Promise<Acks>;
  /** The same; without acknowledgements when the backlog is full. */
  samples(messages: readonly StationMessage[]): Promise<Acks>;
}

export function createCommitter(options: IngestOptions, counts: IngestCounts): Committer {
  const { database, telemetry, clock, log } = options;
  const outage = outageLog(log, clock, 'database.away', 'database.back');

  /** Commits; or finds the message that the database will never take, and sets its records aside as poison. */
  const commit = async (batch: Batch): Promise<Acks> => {
    let committed: Committed;
    try {
      committed = await commitBatch(database.pool, { ...batch, received_at: clock.wall() });
    } catch (error) {
      counts.failed_batches += 1;
      if (!isDataError(error)) {
        const problem = error instanceof Error ? error.message : String(error);
        outage.failed({ problem });
        throw new Fault('DATABASE_UNAVAILABLE', { problem }, error);
      }
      const acks: Acks = [];
      for (const messages of narrowed(batch.messages, error))
        acks.push(...(await commit({ ...batch, messages })));
      return acks;
    }
    outage.worked();
    if (batch.to_backlog) telemetry.backlogGrew(committed.plan.points.length);
    tally(counts, committed);
    options.onCommitted(committed.batch);
    return acksOf(committed.plan);
  };

  return {
    events: (messages) =>
      commit({ stream: 'event', messages, telemetry: NO_TELEMETRY, to_backlog: false }),
    async samples(messages) {
      if (telemetry.isFull()) {
        counts.held_back += messages.length; // their stations keep them
        return [];
      }
      const points = pointsOf(messages);
      const offer = await telemetry.offer([...points.values()]);
      const rejected = offer.stored
        ? reasonsOf(points, offer.rejected)
        : new Map<SampleRecord, string>();
      const to_backlog = !offer.stored;
      return commit({ stream: 'sample', messages, telemetry: { points, rejected }, to_backlog });
    },
  };
}

/** The reports' points, keyed by record. A time the station did not know is written as it stands: twice is the same. */
function pointsOf(messages: readonly StationMessage[]): Map<SampleRecord, TelemetryPoint> {
  const points = new Map<SampleRecord, TelemetryPoint>();
  for (const { entry, records, offsets } of messages) {
    for (const { record } of records) {
      if (record?.kind !== 'report') continue;
      const { at } = restamp(record, offsets);
      const { id: station_id, code: station, organisation_id } = entry;
      points.set(record, {
        station,
        station_id,
        organisation_id,
        at,
        values: record.values as TelemetryPoint['values'],
      });
    }
  }
  return points;
}

function reasonsOf(
  points: ReadonlyMap<SampleRecord, TelemetryPoint>,
  rejected: readonly { point: TelemetryPoint; reason: string }[],
): Map<SampleRecord, string> {
  const reasons = new Map(rejected.map(({ point, reason }) => [point, reason]));
  const found = new Map<SampleRecord, string>();
  if (reasons.size === 0) return found;
  for (const [record, point] of points) {
    const reason = reasons.get(point);
    if (reason !== undefined) found.set(record, reason);
  }
  return found;
}

/** Classes 22 (data exception) and 23 (integrity): the rows are at fault, and will be the next time (PostgreSQL, appendix A). */
function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith('22') || state.startsWith('23'));
}

/** Two halves; or the one message with every record set aside, so that its stream does not stand still behind it. */
function narrowed(messages: readonly StationMessage[], error: unknown): StationMessage[][] {
  const [only] = messages;
  if (messages.length > 1) {
    const half = messages.length >>> 1;
    return [messages.slice(0, half), messages.slice(half)];
  }
  if (only === undefined || only.records.every(({ record }) => record === null)) {
    throw new Fault(
      'DATABASE_UNAVAILABLE',
      { problem: 'a batch without records is refused' },
      error,
    );
  }
  const problem = `database: ${error instanceof Error ? error.message : String(error)}`;
  const records = only.records.map(({ span, json, record }) => ({
    span,
    json: json === '' ? JSON.stringify(record) : json,
    record: null,
    problem,
  }));
  return [[{ ...only, records }]];
}

function tally(counts: IngestCounts, { plan }: Committed): void {
  counts.batches += 1;
  counts.records += plan.records;
  counts.poison += plan.letters.length;
  counts.known += plan.unproven.length;
  for (const { problem } of plan.epochs.values()) {
    if (problem === 'gap') counts.gaps += 1;
    if (problem === 'fork') counts.forks += 1;
    if (problem === 'refused') counts.refused += 1;
  }
}
