/**
 * From the gateway's frames to committed rows, and the acknowledgements that are true because of it.
 * Events and samples go their own ways, so that a door never waits for the telemetry store.
 */
import type { Frame, UplinkAnswer } from '@waystation/protocol/gateway-link';
import type { SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { Ack } from '@waystation/protocol/uplink';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { type Log, outageLog } from '@waystation/runtime/log';
import type { Database } from '../database/open.ts';
import type { TelemetryFeed } from '../telemetry/feed.ts';
import type { TelemetryPoint } from '../telemetry/store.ts';
import { admit, type Admission } from './admission.ts';
import { type CommittedBatch, deadLetter, type DeadLetter, type StationMessage } from './batch.ts';
import { createLane } from './lane.ts';
import { acksOf, NO_TELEMETRY, type TelemetryFate } from './plan.ts';
import { createStationRegister, type StationRegister } from './station-register.ts';
import { WRITE_DEAD_LETTERS } from './statements.ts';
import { restamp } from './time.ts';
import { commitBatch, type Committed, sqlState } from './transaction.ts';

export interface IngestOptions {
  database: Database;
  telemetry: TelemetryFeed;
  clock: Clock;
  log: Log;
  /** After each commit, in the order of the commits of a station. Must not throw. */
  onCommitted: (batch: CommittedBatch) => void;
}

export interface IngestCounts {
  messages: number;
  records: number;
  batches: number;
  known: number;
  gaps: number;
  forks: number;
  refused: number;
  poison: number;
  unreadable: number;
  failed_batches: number;
  held_back: number;
}

export interface Ingest {
  /**
   * Resolves after the commits. Holds acknowledgements only for what is durable; what failed is left out.
   * Rejects with Fault DATABASE_UNAVAILABLE when nothing could be committed.
   */
  ingest(frames: readonly Frame[], gateway: string): Promise<UplinkAnswer>;
  readonly counts: Readonly<IngestCounts>;
  waiting(): number;
  readonly stations: StationRegister;
  /** Waits for what is in flight. */
  stop(): Promise<void>;
}

type Acks = UplinkAnswer['acks'];

const BATCH_MESSAGES_MAX = 1_500;
const BATCH_RECORDS_MAX = 6_000;
const WAITING_MESSAGES_MAX = 30_000;
/** Unreadable messages of one call that are kept for inquiry; the others are only counted. */
const UNREADABLE_LETTERS_MAX = 10;

export function createIngest(options: IngestOptions): Ingest {
  const { database, telemetry, clock } = options;
  const counts: IngestCounts = {
    messages: 0,
    records: 0,
    batches: 0,
    known: 0,
    gaps: 0,
    forks: 0,
    refused: 0,
    poison: 0,
    unreadable: 0,
    failed_batches: 0,
    held_back: 0,
  };
  const stations = createStationRegister(database.db, clock);
  const outage = outageLog(options.log, clock, 'database.away', 'database.back');
  const lane = (stream: Stream) =>
    createLane<StationMessage, Acks>({
      keyOf: (message) => message.entry.id,
      weightOf: (message) => message.records.length,
      work: (messages) => (stream === 'event' ? workEvents(messages) : workSamples(messages)),
      in_flight_max: database.kind === 'postgres' ? 2 : 1,
      batch_messages_max: BATCH_MESSAGES_MAX,
      batch_weight_max: BATCH_RECORDS_MAX,
      waiting_max: WAITING_MESSAGES_MAX,
    });
  const lanes = { event: lane('event'), sample: lane('sample') };

  const workEvents = (messages: readonly StationMessage[]) =>
    commit('event', messages, NO_TELEMETRY, false);

  const workSamples = async (messages: readonly StationMessage[]): Promise<Acks> => {
    if (telemetry.isFull()) {
      counts.held_back += messages.length; // their stations keep them: no acknowledgement
      return [];
    }
    const points = pointsOf(messages);
    const offer = await telemetry.offer([...points.values()]);
    const rejected = offer.stored
      ? reasonsOf(points, offer.rejected)
      : new Map<SampleRecord, string>();
    return commit('sample', messages, { points, rejected }, !offer.stored);
  };

  /** Commits, or finds the message the database will never take and sets its records aside as poison. */
  const commit = async (
    stream: Stream,
    messages: readonly StationMessage[],
    fate: TelemetryFate,
    to_backlog: boolean,
  ): Promise<Acks> => {
    try {
      const received_at = clock.wall();
      const committed = await commitBatch(database.pool, {
        stream,
        messages,
        telemetry: fate,
        to_backlog,
        received_at,
      });
      outage.worked();
      if (to_backlog) telemetry.backlogGrew(committed.plan.points.length);
      tally(counts, committed);
      options.onCommitted(committed.batch);
      return acksOf(committed.plan);
    } catch (error) {
      counts.failed_batches += 1;
      if (!isDataError(error)) {
        const problem = error instanceof Error ? error.message : String(error);
        outage.failed({ problem });
        throw new Fault('DATABASE_UNAVAILABLE', { problem }, error);
      }
      const acks: Acks = [];
      for (const part of narrowed(messages, error))
        acks.push(...(await commit(stream, part, fate, to_backlog)));
      return acks;
    }
  };

  const keepUnreadable = async (letters: readonly DeadLetter[]): Promise<void> => {
    if (letters.length === 0) return;
    const rows = JSON.stringify(letters.slice(0, UNREADABLE_LETTERS_MAX));
    await database.pool.query(WRITE_DEAD_LETTERS, [rows, new Date(clock.wall())]).catch(() => {});
  };

  return {
    counts,
    stations,
    waiting: () => lanes.event.waiting() + lanes.sample.waiting(),
    async ingest(frames, gateway) {
      const received_at = clock.wall();
      const admissions = frames.map((frame) => ({ frame, admission: admit(frame) }));
      const sorted = await sortOut(admissions, stations, received_at);
      counts.messages += frames.length;
      counts.unreadable += sorted.letters.length;
      counts.refused += sorted.refusals.length;
      if (sorted.letters.length > 0) {
        const problem = sorted.letters[0]?.reason ?? '';
        options.log('notice', 'ingest.unreadable', {
          gateway,
          messages: sorted.letters.length,
          problem,
        });
      }
      const [events, samples] = await Promise.allSettled([
        lanes.event.submit(sorted.event),
        lanes.sample.submit(sorted.sample),
        keepUnreadable(sorted.letters),
      ]);
      const done = succeeded(events, sorted.event) || succeeded(samples, sorted.sample);
      const failure = failureOf(events) ?? failureOf(samples);
      if (failure !== null && !done && sorted.refusals.length === 0) throw failure;
      const committed = [events, samples].flatMap((o) =>
        o.status === 'fulfilled' ? o.value.flat() : [],
      );
      return {
        acks: [...sorted.refusals, ...ownAcks(committed, [...sorted.event, ...sorted.sample])],
      };
    },
    async stop() {
      await Promise.all([lanes.event.idle(), lanes.sample.idle()]);
    },
  };
}

interface SortedMessages {
  event: StationMessage[];
  sample: StationMessage[];
  refusals: Acks;
  letters: DeadLetter[];
}

async function sortOut(
  admissions: readonly { frame: Frame; admission: Admission }[],
  stations: StationRegister,
  received_at: number,
): Promise<SortedMessages> {
  const codes = new Set<StationCode>();
  for (const { admission } of admissions) {
    const station = admission.admitted ? admission.message.station : admission.station;
    if (station !== null) codes.add(station);
  }
  const known = await stations.find(codes);
  const sorted: SortedMessages = { event: [], sample: [], refusals: [], letters: [] };
  const refuse = (station: StationCode, stream: Stream, epoch: string) =>
    sorted.refusals.push({ station, ack: { stream, epoch, through: 0, problem: 'refused' } });
  for (const { frame, admission } of admissions) {
    if (!admission.admitted) {
      const { station, stream, epoch, problem } = admission;
      sorted.letters.push(
        unreadable(frame, problem, station === null ? null : (known.get(station)?.id ?? null)),
      );
      if (station !== null && stream !== null && epoch !== null) refuse(station, stream, epoch);
      continue;
    }
    const { message } = admission;
    const entry = known.get(message.station);
    if (entry === undefined) refuse(message.station, message.stream, message.epoch);
    else sorted[message.stream].push({ ...message, entry, received_at });
  }
  return sorted;
}

function unreadable(frame: Frame, reason: string, station_id: number | null): DeadLetter {
  const payload = Buffer.from(frame.payload).toString('utf8');
  return deadLetter({ station_id, topic: frame.topic, epoch: null, seq: null, reason, payload });
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

function succeeded(outcome: PromiseSettledResult<unknown>, asked: readonly unknown[]): boolean {
  return asked.length > 0 && outcome.status === 'fulfilled';
}

function failureOf(outcome: PromiseSettledResult<unknown>): Fault | null {
  if (outcome.status === 'fulfilled') return null;
  const { reason } = outcome;
  return reason instanceof Fault
    ? reason
    : new Fault('DATABASE_UNAVAILABLE', { problem: String(reason) }, reason);
}

/** Batches hold messages of other calls, too; and a stream that was in two batches is answered once, by the later. */
function ownAcks(acks: Acks, asked: readonly StationMessage[]): Acks {
  const own = new Set(
    asked.map((message) => `${message.station} ${message.stream} ${message.epoch}`),
  );
  const answers = new Map<string, { station: StationCode; ack: Ack }>();
  for (const { station, ack } of acks) {
    const key = `${station} ${ack.stream} ${ack.epoch}`;
    if (!own.has(key)) continue;
    const problem = ack.problem ?? (answers.get(key)?.ack.problem === 'fork' ? 'fork' : undefined);
    answers.set(key, { station, ack: problem === undefined ? ack : { ...ack, problem } });
  }
  return [...answers.values()];
}
