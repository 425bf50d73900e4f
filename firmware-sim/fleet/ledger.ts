/**
 * What every station of a fleet made durable, written down apart from the product: an auditor holds the cloud against it.
 * One JSON array a line. When a station begins: [station, stream, epoch, head, "opened"]: all up to `head` is durable.
 * Then for each record: [station, stream, epoch, seq, digest, at]. The digest is `digestOf` the record; `at` is its wall time.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Outbox } from '@waystation/edge/ports';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import type { Ack } from '@waystation/protocol/uplink';
import type { Clock, MonoMs } from '@waystation/runtime/clock';
import { createDelays, type DelayFigures, type Delays } from './delays.ts';

/** Lines wait this long for others; a kill -9 loses them, and the next "opened" line tells how far the station was. */
const WRITE_EVERY_MS = 100;
/** Records of one stream whose acknowledgement is timed; in an outage the oldest are timed no more. */
const TIMED_MAX = 512;
const DIGEST_DIGITS = 16;

/** The same text for the same value, whatever the order of its keys: also after a database took it apart. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}

/** First 16 hex digits of the SHA-256 of the record as JSON with sorted keys. */
export function digestOf(record: unknown): string {
  return createHash('sha256').update(canonical(record)).digest('hex').slice(0, DIGEST_DIGITS);
}

/** A record of this process on its way: when it was made, and where it stands in its stream. */
interface Timed {
  seq: number;
  made_at: MonoMs;
}

export interface Ledger {
  /** The same outbox, watched: what it made durable is written down, what the cloud acknowledged is timed. */
  watch(station: StationCode, outbox: Outbox): Outbox;
  /** From the record's making in the agent to its acknowledgement back at the station. */
  delays(): Record<Stream, DelayFigures>;
  /** From now on only records made from now on are timed. */
  clearDelays(): void;
  close(): void;
}

interface Watched {
  lines(line: readonly (string | number)[]): void;
  timed(stream: Stream, made_at: MonoMs): void;
  mono: () => MonoMs;
}

/** Appends to `path`. */
export function openLedger(path: string, clock: Clock): Ledger {
  const file = openSync(path, 'a');
  const delays: Record<Stream, Delays> = { event: createDelays(), sample: createDelays() };
  let timed_from = clock.mono();
  let waiting = '';
  const write = () => {
    const bytes = Buffer.from(waiting);
    waiting = '';
    for (let done = 0; done < bytes.length; done += writeSync(file, bytes, done));
  };
  const timer = clock.every(WRITE_EVERY_MS, write);
  const watched: Watched = {
    lines: (line) => (waiting += `${JSON.stringify(line)}\n`),
    timed(stream, made_at) {
      if (made_at >= timed_from) delays[stream].note(clock.mono() - made_at);
    },
    mono: () => clock.mono(),
  };
  return {
    watch: (station, outbox) => watchOutbox(watched, station, outbox),
    delays: () => ({ event: delays.event.figures(), sample: delays.sample.figures() }),
    clearDelays() {
      timed_from = clock.mono();
      for (const stream of STREAMS) delays[stream].clear();
    },
    close() {
      timer.stop();
      write();
      closeSync(file);
    },
  };
}

function watchOutbox({ lines, timed, mono }: Watched, station: StationCode, outbox: Outbox) {
  const under_way: Record<Stream, Timed[]> = { event: [], sample: [] };
  /** Samples handed over and not yet committed, oldest first. */
  let pending: { record: SampleRecord; made_at: MonoMs }[] = [];
  let sample_head = outbox.position('sample').head;

  const made = (stream: Stream, seq: number, record: EventRecord | SampleRecord, at: MonoMs) => {
    lines([station, stream, outbox.position(stream).epoch, seq, digestOf(record), record.at]);
    const queue = under_way[stream];
    queue.push({ seq, made_at: at });
    if (queue.length > TIMED_MAX) queue.shift();
  };
  const samplesCommitted = () => {
    const { head } = outbox.position('sample');
    const committed = pending;
    pending = [];
    // A commit takes all that was handed over; what a full disk cost stands before it, in one gap record.
    let seq = head - committed.length;
    for (const { record, made_at } of committed) made('sample', (seq += 1), record, made_at);
    sample_head = head;
  };
  const acknowledged = (ack: Ack) => {
    if (ack.problem !== undefined || ack.epoch !== outbox.position(ack.stream).epoch) return;
    const queue = under_way[ack.stream];
    while (queue[0] !== undefined && queue[0].seq <= ack.through) {
      timed(ack.stream, queue[0].made_at);
      queue.shift();
    }
  };

  for (const stream of STREAMS) {
    const { epoch, head } = outbox.position(stream);
    lines([station, stream, epoch, head, 'opened']);
  }
  outbox.onAppend((stream) => {
    if (stream === 'sample' && outbox.position('sample').head !== sample_head) samplesCommitted();
  });
  return {
    ...outbox,
    async appendEvent(record: EventRecord) {
      const made_at = mono();
      const durable = await outbox.appendEvent(record);
      made('event', durable.seq, record, made_at);
      return durable;
    },
    appendSample(record: SampleRecord) {
      pending.push({ record, made_at: mono() });
      outbox.appendSample(record);
    },
    acknowledge(ack: Ack) {
      acknowledged(ack);
      outbox.acknowledge(ack);
    },
  };
}
