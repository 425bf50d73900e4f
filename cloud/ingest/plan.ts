/** What a batch of messages of one stream kind means for the tables, given the locked cursors. Pure. */
import type { SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { uplinkTopic, type Stream } from '@waystation/protocol/topics';
import type { Ack } from '@waystation/protocol/uplink';
import type { TelemetryPoint } from '../telemetry/store.ts';
import type { AdmittedRecord } from './admission.ts';
import { type CommittedEvent, deadLetter, type DeadLetter, type StationMessage } from './batch.ts';
import {
  epochOf,
  stepCursor,
  type StreamCursor,
  type StreamSuspicion,
  throughOf,
} from './cursor.ts';
import { type EventPatch, foldEvent, foldReport, type SamplePatch } from './state-fold.ts';
import { bandOf, believedAt, restamp, shanghaiDay } from './time.ts';

export interface FaultRow {
  station_id: number;
  epoch: string;
  kind: StreamSuspicion['kind'] | 'gap';
  seq: number;
  span: number;
  detail: string;
  from_at?: number;
  to_at?: number;
}

interface UsageRow {
  s: number;
  d: string;
  o: number;
  n: number;
}

interface AnswerRow {
  station_id: number;
  id: string;
  status: string;
  reason?: string;
  at: number;
}

export interface Plan {
  stream: Stream;
  /** As they will be; by station id. */
  cursors: Map<number, StreamCursor>;
  /**
   * Every (station, epoch) heard of, in order. `advanced`: the cursor moved. `compared`: the last sequence number of this
   * batch that was taken or held against what is stored.
   */
  epochs: Map<
    string,
    {
      message: StationMessage;
      advanced: boolean;
      compared: number;
      problem?: NonNullable<Ack['problem']>;
    }
  >;
  /** Rows of the table event as JSON text, in the order of their streams. */
  event_rows: string[];
  events: CommittedEvent[];
  event_patches: Map<number, EventPatch>;
  sample_patches: Map<number, SamplePatch>;
  usage: Map<string, UsageRow>;
  answers: Map<string, AnswerRow>;
  faults: FaultRow[];
  letters: DeadLetter[];
  /** Accepted reports. */
  points: TelemetryPoint[];
  /** Messages the cursor calls old without proof: to be compared with the stored rows. */
  unproven: { message: StationMessage; generation: number }[];
  records: number;
}

/** What became of the batch's points before the transaction; keyed by the record they came from. */
export interface TelemetryFate {
  points: ReadonlyMap<SampleRecord, TelemetryPoint>;
  rejected: ReadonlyMap<SampleRecord, string>;
}

export const NO_TELEMETRY: TelemetryFate = { points: new Map(), rejected: new Map() };

/** `messages` all of `stream`; `cursors` of all their stations, locked. */
export function planBatch(
  stream: Stream,
  messages: readonly StationMessage[],
  cursors: ReadonlyMap<number, StreamCursor>,
  telemetry: TelemetryFate,
): Plan {
  const plan: Plan = {
    stream,
    cursors: new Map(cursors),
    epochs: new Map(),
    event_rows: [],
    events: [],
    event_patches: new Map(),
    sample_patches: new Map(),
    usage: new Map(),
    answers: new Map(),
    faults: [],
    letters: [],
    points: [],
    unproven: [],
    records: 0,
  };
  for (const message of inStreamOrder(messages)) planMessage(plan, message, telemetry);
  return plan;
}

/** Messages of one epoch by their first number, so that a swap on the way is no gap; epochs as they came. */
function inStreamOrder(messages: readonly StationMessage[]): StationMessage[] {
  const epochs = Map.groupBy(messages, (message) => `${message.entry.id} ${message.epoch}`);
  return [...epochs.values()].flatMap((group) =>
    group.length === 1 ? group : group.sort((a, b) => a.first - b.first),
  );
}

function planMessage(plan: Plan, message: StationMessage, telemetry: TelemetryFate): void {
  const station_id = message.entry.id;
  const key = `${station_id} ${message.epoch}`;
  const cursor = plan.cursors.get(station_id) ?? noCursor(message.entry.code, plan.stream);
  const heard = plan.epochs.get(key) ?? { message, advanced: false, compared: 0 };
  plan.epochs.set(key, heard);
  const step = stepCursor(cursor, message);
  const generation = epochOf(step.cursor, message.epoch)?.generation ?? 0;
  const last = message.records.reduce((seq, record) => seq + record.span, message.first - 1);
  switch (step.step) {
    case 'gap':
    case 'refused':
      heard.problem ??= step.step;
      return;
    case 'fork':
      raiseFork(plan, message, step.suspicion);
      return;
    case 'known':
      heard.compared = Math.max(heard.compared, last);
      if (!step.verified) plan.unproven.push({ message, generation });
      return;
    case 'take': {
      heard.advanced = true;
      heard.compared = Math.max(heard.compared, last);
      plan.cursors.set(station_id, step.cursor);
      if (step.suspicion)
        plan.faults.push({ station_id, epoch: message.epoch, span: 0, ...step.suspicion });
      let seq = step.first_seq;
      let end = message.first - 1;
      for (const [index, admitted] of message.records.entries()) {
        end += admitted.span;
        if (index < step.skip) continue;
        takeRecord(plan, message, generation, { seq, span: end - seq + 1 }, admitted, telemetry);
        seq = end + 1;
      }
      return;
    }
    default:
      step satisfies never;
  }
}

/** Nothing of the message is stored; the station begins a new epoch when it hears of it. */
export function raiseFork(plan: Plan, message: StationMessage, suspicion: StreamSuspicion): void {
  const heard = plan.epochs.get(`${message.entry.id} ${message.epoch}`);
  if (heard) heard.problem = 'fork';
  plan.faults.push({ station_id: message.entry.id, epoch: message.epoch, span: 0, ...suspicion });
}

function takeRecord(
  plan: Plan,
  message: StationMessage,
  generation: number,
  place: { seq: number; span: number },
  admitted: AdmittedRecord,
  telemetry: TelemetryFate,
): void {
  const { record } = admitted;
  plan.records += 1;
  if (record === null) return bury(plan, message, place.seq, admitted.problem, admitted.json);
  if (record.kind === 'report') return takeReport(plan, message, place.seq, record, telemetry);
  if (record.kind === 'gap') {
    const { at, from_at, reason } = record;
    const { id: station_id } = message.entry;
    plan.faults.push({
      station_id,
      epoch: message.epoch,
      kind: 'gap',
      ...place,
      detail: reason,
      from_at,
      to_at: at,
    });
    return;
  }
  const { entry, received_at, epoch } = message;
  const stamped = restamp(record, message.offsets);
  const at = stamped.clock === 'unknown' ? received_at : stamped.at;
  const band = bandOf(at, received_at);
  const event: CommittedEvent = {
    station: entry.code,
    station_id: entry.id,
    epoch,
    generation,
    seq: place.seq,
    at,
    received_at,
    band,
    record,
  };
  plan.events.push(event);
  plan.event_rows.push(
    `{"s":${entry.id},"g":${generation},"q":${place.seq},"k":"${record.kind}","a":${at},"c":"${stamped.clock}","b":"${band}","r":${admitted.json}}`,
  );
  const believed = believedAt(stamped, received_at);
  if (isNewest(plan, entry.id, generation)) {
    const folded = { ...event, at: believed, clock: stamped.clock };
    plan.event_patches.set(entry.id, foldEvent(plan.event_patches.get(entry.id), folded));
  }
  count(plan, event, believed);
}

/** Only the current epoch moves the state: what an older one still tells is history. */
function isNewest(plan: Plan, station_id: number, generation: number): boolean {
  return plan.cursors.get(station_id)?.epochs.at(-1)?.generation === generation;
}

/** The figures and the commands that the event touches. */
function count(plan: Plan, { station_id, record }: CommittedEvent, believed: number): void {
  if (record.kind === 'access' && (record.outcome === 'denied' || record.method !== 'egress')) {
    const day = shanghaiDay(believed);
    const key = `${station_id} ${day}`;
    const row = plan.usage.get(key) ?? { s: station_id, d: day, o: 0, n: 0 };
    if (record.outcome === 'granted') row.o += 1;
    else row.n += 1;
    plan.usage.set(key, row);
  }
  if (record.kind === 'command') {
    const { id, status, reason } = record;
    const key = `${station_id} ${id}`;
    const earlier = plan.answers.get(key);
    if (earlier !== undefined && (earlier.status !== 'received' || status === 'received')) return;
    plan.answers.set(key, {
      station_id,
      id,
      status,
      at: believed,
      ...(reason === undefined ? {} : { reason }),
    });
  }
}

function takeReport(
  plan: Plan,
  message: StationMessage,
  seq: number,
  record: Extract<SampleRecord, { kind: 'report' }>,
  telemetry: TelemetryFate,
): void {
  const { entry, received_at } = message;
  const rejected = telemetry.rejected.get(record);
  if (rejected !== undefined)
    bury(plan, message, seq, `telemetry: ${rejected}`, JSON.stringify(record));
  const point = telemetry.points.get(record);
  if (point !== undefined) plan.points.push(point);
  const at = believedAt(restamp(record, message.offsets), received_at);
  const report = { station_id: entry.id, at, received_at, values: record.values };
  plan.sample_patches.set(entry.id, foldReport(plan.sample_patches.get(entry.id), report));
}

function bury(
  plan: Plan,
  message: StationMessage,
  seq: number,
  reason: string,
  payload: string,
): void {
  const { entry, stream, epoch } = message;
  const topic = uplinkTopic(entry.code, stream);
  plan.letters.push(deadLetter({ station_id: entry.id, topic, epoch, seq, reason, payload }));
}

function noCursor(station: StationCode, stream: Stream): StreamCursor {
  return { station, stream, epochs: [] };
}

/**
 * One for each (station, epoch) the batch touched. True only after the commit.
 * Never beyond what the batch itself compared: what lies behind it may differ at a station whose disk was put back.
 * A refusal names the cursor as it is, for the station to go on from; it trims nothing.
 */
export function acksOf(plan: Plan): { station: StationCode; ack: Ack }[] {
  return [...plan.epochs.values()].map(({ message, compared, problem }) => {
    const cursor = plan.cursors.get(message.entry.id);
    const committed = cursor === undefined ? 0 : throughOf(cursor, message.epoch);
    const ack = { stream: plan.stream, epoch: message.epoch };
    const answer: Ack =
      problem === undefined
        ? { ...ack, through: Math.min(committed, compared) }
        : { ...ack, through: committed, problem };
    return { station: message.entry.code, ack: answer };
  });
}
