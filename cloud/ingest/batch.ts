/** What travels through ingest: messages of known stations in, committed events out. */
import type { EventRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { Band } from '../database/schema.ts';
import type { AdmittedMessage } from './admission.ts';

export interface StationEntry {
  id: number;
  code: StationCode;
  /** The leaf. */
  organisation_id: number;
}

export interface StationMessage extends AdmittedMessage {
  entry: StationEntry;
  /** Wall time, ms. */
  received_at: number;
}

/** An event as it was committed. Times in ms; `at` as far as it can be believed. */
export interface CommittedEvent {
  station: StationCode;
  station_id: number;
  epoch: string;
  generation: number;
  seq: number;
  at: number;
  received_at: number;
  band: Band;
  record: EventRecord;
}

export interface CommittedBatch {
  stream: Stream;
  /** In the order of each station's stream. */
  events: readonly CommittedEvent[];
  /** Stations whose state may have changed. */
  station_ids: readonly number[];
  /** Commands whose status changed. */
  command_ids: readonly string[];
}

export interface DeadLetter {
  station_id: number | null;
  topic: string;
  epoch: string | null;
  seq: number | null;
  reason: string;
  payload: string;
}

const REASON_CHARACTERS_MAX = 300;
const PAYLOAD_CHARACTERS_MAX = 8_000;

/** Cut to size, and made of characters that PostgreSQL can store. */
export function deadLetter(letter: DeadLetter): DeadLetter {
  return {
    ...letter,
    topic: storable(letter.topic.slice(0, REASON_CHARACTERS_MAX)),
    reason: storable(letter.reason.slice(0, REASON_CHARACTERS_MAX)),
    payload: storable(letter.payload.slice(0, PAYLOAD_CHARACTERS_MAX)),
  };
}

function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}
