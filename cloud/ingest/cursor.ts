/**
 * How far one stream of one station is committed, and what the next message means for it. Pure.
 * Records are taken if they continue the cursor: so each is stored once, in order, and a hole is visible as a number.
 */
import { type ChainHash, chainNext, chainStart } from '@waystation/runtime/hash-chain';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';

/** One epoch of a stream. `generation` counts epochs from 1 in the order they appeared; the greatest is current. */
export interface EpochCursor {
  epoch: string;
  generation: number;
  /** Every sequence number up to this one is committed; 0: none. */
  through: number;
  /** Chain hash of record `through` (event stream only). */
  last_hash: ChainHash | null;
}

/** All epochs the cloud knows of this stream, oldest generation first. */
export interface StreamCursor {
  station: StationCode;
  stream: Stream;
  epochs: readonly EpochCursor[];
}

export interface CursorMessage {
  epoch: string;
  first: number;
  previous_hash: ChainHash | undefined;
  /** `span`: sequence numbers it stands for. `json`: as JSON.stringify writes it (event stream only). */
  records: readonly { span: number; json: string }[];
}

export type StreamSuspicion =
  /** A new outbox: normal at the first start, worth a look later. */
  | { kind: 'epoch'; seq: number; detail: string }
  /** An epoch that a newer one had replaced goes on: two boxes may share one credential. */
  | { kind: 'clone'; seq: number; detail: string }
  /** The station tells another history than the one stored. */
  | { kind: 'fork'; seq: number; detail: string };

export type CursorStep =
  /** Store the records from index `skip` on; `first_seq` is the sequence number the first of them still covers. */
  | {
      step: 'take';
      cursor: StreamCursor;
      skip: number;
      first_seq: number;
      suspicion?: StreamSuspicion;
    }
  /** Nothing new. `verified`: the chain proved it is what was stored; if not, compare with the rows. */
  | { step: 'known'; cursor: StreamCursor; verified: boolean }
  /** Begins after `through + 1`: the station sends from there. */
  | { step: 'gap'; cursor: StreamCursor }
  | { step: 'fork'; cursor: StreamCursor; suspicion: StreamSuspicion }
  /** Not a message of this stream: the chain hash is missing, the numbers leave the safe integers, or too many epochs. */
  | { step: 'refused'; cursor: StreamCursor };

export function epochOf(cursor: StreamCursor, epoch: string): EpochCursor | undefined {
  return cursor.epochs.find((known) => known.epoch === epoch);
}

/** The acknowledgement's `through` for this epoch. */
export function throughOf(cursor: StreamCursor, epoch: string): number {
  return epochOf(cursor, epoch)?.through ?? 0;
}

/** A station begins an epoch with each new outbox; one that does so all day is broken, and must not fill the table. */
export const EPOCHS_MAX = 1_000;

export function stepCursor(cursor: StreamCursor, message: CursorMessage): CursorStep {
  const last = message.records.reduce((seq, record) => seq + record.span, message.first - 1);
  const chained = cursor.stream === 'event';
  if (!Number.isSafeInteger(last)) return { step: 'refused', cursor };
  if (chained && message.previous_hash === undefined) return { step: 'refused', cursor };

  const newest = cursor.epochs.at(-1);
  const known = epochOf(cursor, message.epoch);
  if (known === undefined && cursor.epochs.length >= EPOCHS_MAX) return { step: 'refused', cursor };
  const before = known ?? begin(cursor, message.epoch);
  if (message.first > before.through + 1) return { step: 'gap', cursor };
  if (last < before.through) return { step: 'known', cursor, verified: !chained };

  const walked = chained ? walkChain(before, message) : { last_hash: null };
  if (walked === null) {
    const suspicion = { kind: 'fork', seq: before.through + 1, detail: 'hash chain' } as const;
    return { step: 'fork', cursor, suspicion };
  }
  if (last === before.through) return { step: 'known', cursor, verified: true };

  const after: EpochCursor = { ...before, through: last, last_hash: walked.last_hash };
  const epochs = known
    ? cursor.epochs.map((epoch) => (epoch === known ? after : epoch))
    : [...cursor.epochs, after];
  const suspicion = suspect(newest, known, message.epoch);
  return {
    step: 'take',
    cursor: { ...cursor, epochs },
    skip: countKnown(before.through, message),
    first_seq: before.through + 1,
    ...(suspicion === undefined ? {} : { suspicion }),
  };
}

function begin(cursor: StreamCursor, epoch: string): EpochCursor {
  const generation = (cursor.epochs.at(-1)?.generation ?? 0) + 1;
  const last_hash = cursor.stream === 'event' ? chainStart(cursor.station, epoch) : null;
  return { epoch, generation, through: 0, last_hash };
}

/** Follows the chain over the message; null when it does not pass through the committed hash. */
function walkChain(before: EpochCursor, message: CursorMessage): { last_hash: ChainHash } | null {
  let hash = message.previous_hash ?? '';
  let seq = message.first - 1;
  if (seq === before.through && hash !== before.last_hash) return null;
  for (const record of message.records) {
    hash = chainNext(hash, record.json);
    seq += record.span;
    if (seq === before.through && hash !== before.last_hash) return null;
  }
  return { last_hash: hash };
}

/** Leading records that are committed whole. One that reaches beyond (thinned samples) is taken. */
function countKnown(through: number, message: CursorMessage): number {
  let end = message.first - 1;
  let count = 0;
  for (const record of message.records) {
    end += record.span;
    if (end > through) break;
    count += 1;
  }
  return count;
}

function suspect(
  newest: EpochCursor | undefined,
  known: EpochCursor | undefined,
  epoch: string,
): StreamSuspicion | undefined {
  if (newest === undefined || newest === known) return undefined;
  return known === undefined
    ? { kind: 'epoch', seq: 0, detail: `after ${newest.epoch}` }
    : { kind: 'clone', seq: 0, detail: `${epoch} goes on after ${newest.epoch}` };
}
