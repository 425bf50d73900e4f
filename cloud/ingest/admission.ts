/** From bytes to records: the envelope strictly, then each record by itself, so that a poison one costs nobody else. */
import { isUtf8 } from 'node:buffer';
import type { Frame } from '@waystation/protocol/gateway-link';
import { EventRecord, SampleRecord, type StationRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { parseTopic, type Stream } from '@waystation/protocol/topics';
import { UplinkMessage, UPLINK_BYTES_MAX } from '@waystation/protocol/uplink';
import { firstIssue } from '@waystation/runtime/config';

/** `record` null: poison, for the reason given; it keeps its place in the sequence and in the chain. */
export type AdmittedRecord =
  | { span: number; json: string; record: StationRecord; problem?: never }
  | { span: number; json: string; record: null; problem: string };

export interface AdmittedMessage {
  station: StationCode;
  stream: Stream;
  epoch: string;
  first: number;
  previous_hash: string | undefined;
  offsets: Readonly<Record<string, number>> | undefined;
  records: AdmittedRecord[];
}

export type Admission =
  | { admitted: true; message: AdmittedMessage }
  /** `epoch` where it could still be read, so that the refusal reaches the station. */
  | {
      admitted: false;
      problem: string;
      station: StationCode | null;
      stream: Stream | null;
      epoch: string | null;
    };

const SPAN_MAX = 1_000_000_000;

export function admit(frame: Frame): Admission {
  const topic = parseTopic(frame.topic);
  if (topic?.name !== 'uplink') return refuse('topic: not an uplink topic', null, null, null);
  const { station, stream } = topic;
  const text = decodeText(frame.payload);
  if (text === null) return refuse('payload: too large or not UTF-8', station, stream, null);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('payload: not JSON', station, stream, null);
  }
  const envelope = UplinkMessage.safeParse(json);
  if (!envelope.success) {
    const { field, problem } = firstIssue(envelope.error);
    return refuse(`${field}: ${problem}`, station, stream, readEpoch(json));
  }
  const { epoch, first, previous_hash, offsets, records } = envelope.data;
  const admitted = records.map(stream === 'event' ? admitEvent : admitSample);
  return {
    admitted: true,
    message: { station, stream, epoch, first, previous_hash, offsets, records: admitted },
  };
}

function refuse(
  problem: string,
  station: StationCode | null,
  stream: Stream | null,
  epoch: string | null,
): Admission {
  return { admitted: false, problem, station, stream, epoch };
}

function decodeText(payload: Uint8Array): string | null {
  if (payload.byteLength > UPLINK_BYTES_MAX || !isUtf8(payload)) return null;
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8');
}

function readEpoch(json: unknown): string | null {
  if (typeof json !== 'object' || json === null || !('epoch' in json)) return null;
  const epoch = UplinkMessage.shape.epoch.safeParse(json.epoch);
  return epoch.success ? epoch.data : null;
}

function admitEvent(raw: unknown): AdmittedRecord {
  const json = JSON.stringify(raw);
  const parsed = EventRecord.safeParse(raw);
  if (!parsed.success) return poison(1, json, parsed.error);
  if (json.includes('\\u') && !isStorable(json)) {
    return {
      span: 1,
      json,
      record: null,
      problem: 'a text holds a character PostgreSQL cannot store',
    };
  }
  return { span: 1, json, record: parsed.data };
}

function admitSample(raw: unknown): AdmittedRecord {
  const parsed = SampleRecord.safeParse(raw);
  if (!parsed.success) return poison(claimedSpan(raw), JSON.stringify(raw), parsed.error);
  return { span: parsed.data.span ?? 1, json: '', record: parsed.data };
}

function poison(
  span: number,
  json: string,
  error: Parameters<typeof firstIssue>[0],
): AdmittedRecord {
  const { field, problem } = firstIssue(error);
  return { span, json, record: null, problem: `${field}: ${problem}` };
}

/** What a poison sample says of its own length must be believed, or the stream would stand still behind it. */
function claimedSpan(raw: unknown): number {
  if (typeof raw !== 'object' || raw === null || !('span' in raw)) return 1;
  const { span } = raw;
  return typeof span === 'number' && Number.isInteger(span) && span >= 1 && span <= SPAN_MAX
    ? span
    : 1;
}

/** jsonb takes neither U+0000 nor half a surrogate pair (PostgreSQL manual 8.14). */
function isStorable(json: string): boolean {
  let storable = true;
  JSON.parse(json, (key, value: unknown) => {
    for (const text of [key, value]) {
      if (typeof text === 'string' && (text.includes('\0') || !text.isWellFormed()))
        storable = false;
    }
    return value;
  });
  return storable;
}
