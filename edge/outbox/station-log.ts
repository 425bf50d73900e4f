/** What one station has pending between two commits, and how it is written. */
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { spanOf } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import type { Fault } from '@waystation/runtime/fault';
import { chainNext } from '@waystation/runtime/hash-chain';
import type { Stamp } from '../time/stamp.ts';
import type { Lanes } from './lanes.ts';
import type { OutboxFile } from './outbox-file.ts';
import { gapOf, type Gap } from './thinning.ts';

export interface PendingEvent {
  record: EventRecord;
  resolve: (durable: { seq: number }) => void;
  reject: (fault: Fault) => void;
}

export interface Station {
  code: StationCode;
  stamp: () => Stamp;
  lanes: Lanes;
  /** Streams whose acknowledgement is not yet in the file: losing it costs a repetition, nothing else. */
  unsaved_acks: Set<Stream>;
  events: PendingEvent[];
  samples: SampleRecord[];
  /** Samples that memory could not hold while the disk refused. */
  lost: Gap | null;
  listeners: Set<(stream: Stream) => void>;
  /** Samples before this number are as thin as they may get. */
  thin_from: number;
}

/** Samples kept in memory while the disk refuses; the oldest beyond are lost, on record. */
const SAMPLES_HELD_MAX = 256;

export function createStation(code: StationCode, stamp: () => Stamp, lanes: Lanes): Station {
  return {
    code,
    stamp,
    lanes,
    unsaved_acks: new Set(),
    events: [],
    samples: [],
    lost: null,
    listeners: new Set(),
    thin_from: 0,
  };
}

/** Inside a transaction. */
export function writeAcks(file: OutboxFile, station: Station): void {
  for (const stream of station.unsaved_acks) {
    const lane = station.lanes[stream];
    file.acknowledge(
      lane,
      lane.acked,
      stream === 'event' ? (file.hashAt(lane.id, lane.acked) ?? '') : '',
    );
  }
}

/** Inside a transaction. Returns what to do once it is durable, which tells the streams that grew. */
export function writePending(file: OutboxFile, station: Station): () => Stream[] {
  writeAcks(file, station);
  const { event, sample } = station.lanes;
  const { events } = station;
  let { head, head_hash } = event;
  for (const { record } of events) {
    const body = JSON.stringify(record);
    head += 1;
    head_hash = chainNext(head_hash, body);
    file.insert(event.id, { seq: head, span: 1, hash: head_hash, body });
  }
  let sample_head = sample.head;
  for (const record of station.lost ? [station.lost, ...station.samples] : station.samples) {
    file.insert(sample.id, {
      seq: sample_head + 1,
      span: spanOf(record),
      hash: null,
      body: JSON.stringify(record),
    });
    sample_head += spanOf(record);
  }
  return () => {
    const grown = { event: head > event.head, sample: sample_head > sample.head };
    station.lanes = {
      event: { ...event, head, head_hash },
      sample: { ...sample, head: sample_head },
    };
    station.unsaved_acks.clear();
    station.events = [];
    station.samples = [];
    station.lost = null;
    events.forEach(({ resolve }, index) => resolve({ seq: event.head + 1 + index }));
    return STREAMS.filter((stream) => grown[stream]);
  };
}

/** The disk refused: events are refused too, samples wait as far as memory reaches. */
export function rejectPending(station: Station, fault: Fault): void {
  const { events, samples } = station;
  station.events = [];
  for (const { reject } of events) reject(fault);
  const beyond = samples.splice(0, Math.max(0, samples.length - SAMPLES_HELD_MAX));
  const [oldest, newest] = [station.lost ?? beyond[0], beyond.at(-1)];
  if (!oldest || !newest) return;
  station.lost = gapOf(oldest, newest, (station.lost?.span ?? 0) + beyond.length, 'diskBudget');
}
