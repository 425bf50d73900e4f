/**
 * From the gateway's frames to committed rows, and the acknowledgements that are true because of it.
 * Events and samples go their own ways, so that a door never waits for the telemetry store.
 */
import type { Frame, UplinkAnswer } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { Ack } from '@waystation/protocol/uplink';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { Database } from '../database/open.ts';
import type { TelemetryFeed } from '../telemetry/feed.ts';
import { admit, type Admission } from './admission.ts';
import { type CommittedBatch, deadLetter, type DeadLetter, type StationMessage } from './batch.ts';
import { type Acks, type Committer, createCommitter } from './committer.ts';
import { createLane } from './lane.ts';
import { createStationRegister, type StationRegister } from './station-register.ts';
import { WRITE_DEAD_LETTERS } from './statements.ts';

export interface IngestOptions {
  database: Database;
  telemetry: TelemetryFeed;
  clock: Clock;
  log: Log;
  /** After each commit, in the order of the commits of a station. Must not throw. */
  onCommitted: (batch: CommittedBatch) => void;
}

/** Since the start; for the metrics. */
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

const BATCH_MESSAGES_MAX = 1_500;
const BATCH_RECORDS_MAX = 6_000;
const WAITING_MESSAGES_MAX = 30_000;
/** Unreadable messages of one call that are kept for inquiry; the others are only counted. */
const UNREADABLE_LETTERS_MAX = 10;

export function createIngest(options: IngestOptions): Ingest {
  const { database, clock } = options;
  const counts = noCounts();
  const stations = createStationRegister(database.db, clock);
  const committer = createCommitter(options, counts);
  const lane = (work: Committer['events']) =>
    createLane<StationMessage, Acks>({
      keyOf: (message) => message.entry.id,
      weightOf: (message) => message.records.length,
      work,
      in_flight_max: database.kind === 'postgres' ? 2 : 1,
      batch_messages_max: BATCH_MESSAGES_MAX,
      batch_weight_max: BATCH_RECORDS_MAX,
      waiting_max: WAITING_MESSAGES_MAX,
    });
  const lanes = { event: lane(committer.events), sample: lane(committer.samples) };

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
      const { event, sample, refusals, letters } = sorted;
      counts.messages += frames.length;
      counts.unreadable += letters.length;
      counts.refused += refusals.length;
      const [unread] = letters;
      if (unread) {
        const facts = { gateway, messages: letters.length, problem: unread.reason };
        options.log('notice', 'ingest.unreadable', facts);
      }
      const [events, samples] = await Promise.allSettled([
        lanes.event.submit(event),
        lanes.sample.submit(sample),
        keepUnreadable(letters),
      ]);
      const done = succeeded(events, event) || succeeded(samples, sample) || refusals.length > 0;
      const failure = failureOf(events) ?? failureOf(samples);
      if (failure !== null && !done) throw failure;
      const committed = [...resultOf(events), ...resultOf(samples)].flat();
      return { acks: [...refusals, ...ownAcks(committed, [...event, ...sample])] };
    },
    async stop() {
      await Promise.all([lanes.event.idle(), lanes.sample.idle()]);
    },
  };
}

function noCounts(): IngestCounts {
  return {
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
  const known = await stations.find(codes).catch((error: unknown) => {
    throw databaseFault(error);
  });
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

function succeeded(outcome: PromiseSettledResult<unknown>, asked: readonly unknown[]): boolean {
  return asked.length > 0 && outcome.status === 'fulfilled';
}

function resultOf<T>(outcome: PromiseSettledResult<T[]>): T[] {
  return outcome.status === 'fulfilled' ? outcome.value : [];
}

function failureOf(outcome: PromiseSettledResult<unknown>): Fault | null {
  if (outcome.status === 'fulfilled') return null;
  const { reason } = outcome;
  return reason instanceof Fault ? reason : databaseFault(reason);
}

function databaseFault(cause: unknown): Fault {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new Fault('DATABASE_UNAVAILABLE', { problem }, cause);
}

/** Batches hold messages of other calls, too; and a stream that was in two batches is answered once, by the farther. */
function ownAcks(acks: Acks, asked: readonly StationMessage[]): Acks {
  const own = new Set(
    asked.map((message) => `${message.station} ${message.stream} ${message.epoch}`),
  );
  const answers = new Map<string, Acks[number]>();
  for (const answer of acks) {
    const key = `${answer.station} ${answer.ack.stream} ${answer.ack.epoch}`;
    const earlier = answers.get(key);
    if (own.has(key) && !(earlier && outweighs(earlier.ack, answer.ack))) answers.set(key, answer);
  }
  return [...answers.values()];
}

/** A fork is never forgotten; a gap is, once the stream goes on; else the farther word is true as well. */
function outweighs(earlier: Ack, later: Ack): boolean {
  if (earlier.problem === 'fork' || later.problem === 'fork') return earlier.problem === 'fork';
  return (
    earlier.problem === undefined && later.problem === undefined && earlier.through > later.through
  );
}
