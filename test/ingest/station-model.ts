/** A station's outbox as the rules describe it, in memory: what the suites feed to ingest, and the oracle of what must be stored. */
import type { Frame } from '@waystation/protocol/gateway-link';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { type Stream, uplinkTopic } from '@waystation/protocol/topics';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';

export const BOOT = '0badcafe';

export interface StationModel {
  readonly code: StationCode;
  epoch: string;
  /** Everything ever appended in this epoch, `records[0]` has sequence number 1. */
  records: { event: EventRecord[]; sample: SampleRecord[] };
  readonly acked: Record<Stream, number>;
  event(record: EventRecord): number;
  sample(record: SampleRecord): number;
  /** Records `first` … `first + count - 1` as one message. */
  frame(stream: Stream, first: number, count: number): Frame;
  beginEpoch(epoch: string): void;
}

export function createStationModel(code: StationCode, epoch: string): StationModel {
  let hashes = [chainStart(code, epoch)];
  const model: StationModel = {
    code,
    epoch,
    records: { event: [], sample: [] },
    acked: { event: 0, sample: 0 },
    event(record) {
      hashes.push(chainNext(hashes.at(-1) ?? '', JSON.stringify(record)));
      return model.records.event.push(record);
    },
    sample: (record) => model.records.sample.push(record),
    frame(stream, first, count) {
      const message = {
        epoch: model.epoch,
        first,
        ...(stream === 'event' ? { previous_hash: hashes[first - 1] } : {}),
        records: model.records[stream].slice(first - 1, first - 1 + count),
      };
      return frameOf(code, stream, message);
    },
    beginEpoch(next) {
      model.epoch = next;
      model.records = { event: [], sample: [] };
      model.acked.event = 0;
      model.acked.sample = 0;
      hashes = [chainStart(code, next)];
    },
  };
  return model;
}

export function frameOf(code: StationCode, stream: Stream, message: object): Frame {
  return {
    topic: uplinkTopic(code, stream),
    payload: new TextEncoder().encode(JSON.stringify(message)),
  };
}

export function stampAt(at: number, mono = 1_000) {
  return { at, mono, boot: BOOT, clock: 'synced' as const };
}

export function doorEvent(at: number, mono = 1_000): Extract<EventRecord, { kind: 'door' }> {
  return { kind: 'door', ...stampAt(at, mono), from: 'secured', to: 'open', cause: 'granted' };
}

export function accessEvent(at: number, outcome: 'granted' | 'denied', mono = 1_000): EventRecord {
  const denial = outcome === 'denied' ? { denial: 'replayed' as const } : {};
  return {
    kind: 'access',
    ...stampAt(at, mono),
    outcome,
    ...denial,
    method: 'card',
    decision_us: 900,
  };
}

export function reportSample(at: number, temperature_cel: number): SampleRecord {
  return { kind: 'report', ...stampAt(at), values: { temperature_cel, co2_ppm: 420 } };
}

export function snapshotEvent(
  at: number,
  more: Partial<Extract<EventRecord, { kind: 'snapshot' }>> = {},
): EventRecord {
  return {
    kind: 'snapshot',
    ...stampAt(at),
    portal: 'secured',
    mode: 'normal',
    inputs: { smoke: false, doorOpen: false },
    values: { temperature_cel: 20 },
    devices: { controller: true, environment: true, reader: true },
    software: '1.0.0',
    key_set_version: 1,
    status_list_version: 1,
    ...more,
  };
}
