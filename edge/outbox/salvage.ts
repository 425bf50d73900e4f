/** What can still be read from a damaged outbox: everything whose page and hash are sound moves on, the rest is a gap on record. */
import type { SampleRecord } from '@waystation/protocol/records';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import type { Stamp } from '../time/stamp.ts';
import { openOutboxFile, type Lane, type OutboxFile, type Row } from './outbox-file.ts';

export interface Salvaged {
  previous_epoch: string | null;
  /** Bodies of the unacknowledged events, in order. */
  events: string[];
  /** Between the acknowledged and the newest that can still be seen. */
  events_lost: number;
  samples: { span: number; body: string }[];
}

export interface Salvage {
  station(code: string, stamp: Stamp): Salvaged | null;
  /** Tables and boot offsets, as far as they can be read. */
  copyTables(to: OutboxFile, now: number): void;
  close(): void;
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null; // damage is what this file is about: the caller goes on with what there is
  }
}

/** One at a time, so that a damaged page costs what lies behind it and nothing before. */
function* soundRows(file: OutboxFile, lane: Lane): Generator<Row, void> {
  for (let next = lane.acked + 1; next <= lane.head;) {
    const from = next;
    const row = attempt(() => file.rowsFrom(lane.id, from, 1))?.[0];
    if (!row || row.seq + row.span - 1 < next) return;
    yield row;
    next = row.seq + row.span;
  }
}

function eventsOf(file: OutboxFile, station: string, lane: Lane): string[] {
  let previous = attempt(() => file.hashAt(lane.id, lane.acked)) ?? chainStart(station, lane.epoch);
  const events: string[] = [];
  for (const row of soundRows(file, lane)) {
    if (chainNext(previous, row.body) === row.hash) events.push(row.body);
    previous = row.hash ?? '';
  }
  return events;
}

function samplesOf(file: OutboxFile, lane: Lane, stamp: Stamp): Salvaged['samples'] {
  const gap = (span: number, from_at: number) => {
    const record: SampleRecord = { kind: 'gap', ...stamp, span, reason: 'corrupt', from_at };
    return { span, body: JSON.stringify(record) };
  };
  const samples: Salvaged['samples'] = [];
  let through = lane.acked;
  let newest_at = stamp.at;
  for (const row of soundRows(file, lane)) {
    const record = attempt(() => JSON.parse(row.body) as SampleRecord);
    const span = row.seq + row.span - 1 - through;
    samples.push(record === null ? gap(span, newest_at) : { span, body: row.body });
    if (record !== null) newest_at = record.at;
    through += span;
  }
  if (through < lane.head) samples.push(gap(lane.head - through, newest_at));
  return samples;
}

/** Opens a file that was set aside; null when nothing in it can be read. */
export function openSalvage(aside: string): Salvage | null {
  const file = attempt(() => openOutboxFile(aside, Number.MAX_SAFE_INTEGER / 1024, 'unchecked'));
  if (file === null) return null;
  return {
    station(code, stamp) {
      const event = attempt(() => file.loadLane(code, 'event'));
      const sample = attempt(() => file.loadLane(code, 'sample'));
      if (event === null && sample === null) return null;
      const events = event === null ? [] : eventsOf(file, code, event);
      return {
        previous_epoch: event?.epoch ?? sample?.epoch ?? null,
        events,
        events_lost: event === null ? 0 : event.head - event.acked - events.length,
        samples: sample === null ? [] : samplesOf(file, sample, stamp),
      };
    },
    copyTables(to, now) {
      for (const [boot, offset_ms] of attempt(() => file.offsets()) ?? [])
        to.noteOffset(boot, offset_ms, now);
      for (const name of attempt(() => file.tableNames()) ?? []) {
        for (const [key, entry] of attempt(() => file.entries(name)) ?? [])
          to.putEntry(name, key, entry);
      }
    },
    close: () => file.close(),
  };
}
