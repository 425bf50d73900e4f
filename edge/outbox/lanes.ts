/** How a station's two streams begin: new, after damage, or in a new epoch because the cloud knows another history. */
import type { EventRecord } from '@waystation/protocol/records';
import type { Stream } from '@waystation/protocol/topics';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import type { Stamp } from '../time/stamp.ts';
import type { Lane, OutboxFile } from './outbox-file.ts';
import { rechain } from './reading.ts';
import type { Salvaged } from './salvage.ts';

export type Lanes = Record<Stream, Lane>;
type EpochReason = Extract<EventRecord, { kind: 'epoch' }>['reason'];

/** 12 hex digits (EPOCH_ID). */
export function epochId(random: () => number): string {
  const half = () =>
    Math.floor(random() * 0x100_0000)
      .toString(16)
      .padStart(6, '0');
  return half() + half();
}

function appendBody(file: OutboxFile, lane: Lane, body: string): Lane {
  const head = lane.head + 1;
  const head_hash = chainNext(lane.head_hash, body);
  file.insert(lane.id, { seq: head, span: 1, hash: head_hash, body });
  return { ...lane, head, head_hash };
}

function beginEvents(
  file: OutboxFile,
  empty: Lane,
  stamp: Stamp,
  reason: EpochReason,
  previous_epoch: string | null,
  events_lost = 0,
): Lane {
  const record: EventRecord = {
    kind: 'epoch',
    ...stamp,
    reason,
    ...(previous_epoch === null ? {} : { previous_epoch }),
    ...(events_lost === 0 ? {} : { events_lost }),
  };
  return appendBody(file, empty, JSON.stringify(record));
}

/** Inside a transaction. Both streams of a station that the file does not know; `salvaged` is what a damaged file still held. */
export function beginLanes(
  file: OutboxFile,
  station: string,
  epoch: string,
  stamp: Stamp,
  reason: EpochReason,
  salvaged: Salvaged | null,
): Lanes {
  const empty = file.createLane(station, 'event', epoch, chainStart(station, epoch));
  const { previous_epoch = null, events_lost = 0 } = salvaged ?? {};
  let event = beginEvents(file, empty, stamp, reason, previous_epoch, events_lost);
  for (const body of salvaged?.events ?? []) event = appendBody(file, event, body);
  let sample = file.createLane(station, 'sample', epoch, '');
  for (const { span, body } of salvaged?.samples ?? []) {
    file.insert(sample.id, { seq: sample.head + 1, span, hash: null, body });
    sample = { ...sample, head: sample.head + span };
  }
  return { event, sample };
}

/**
 * Inside a transaction. A new epoch for `streams`, which carries over what is not acknowledged.
 * The event stream says why in its first record; its chain begins anew with the epoch.
 */
export function renewLanes(
  file: OutboxFile,
  station: string,
  lanes: Lanes,
  streams: readonly Stream[],
  epoch: string,
  stamp: Stamp,
): Lanes {
  const renewed = { ...lanes };
  for (const stream of streams) {
    const old = lanes[stream];
    file.acknowledge(
      old,
      old.acked,
      stream === 'event' ? (file.hashAt(old.id, old.acked) ?? '') : '',
    );
    if (stream === 'event') {
      const empty = file.replaceLane(old, epoch, chainStart(station, epoch));
      renewed.event = rechain(file, old, beginEvents(file, empty, stamp, 'forked', old.epoch));
    } else {
      const empty = file.replaceLane(old, epoch, '');
      file.moveRecords(old, empty.id);
      renewed.sample = { ...empty, head: old.head - old.acked };
    }
  }
  return renewed;
}
