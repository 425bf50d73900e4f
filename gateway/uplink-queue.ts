/**
 * Uplink messages waiting for the cloud. While a station's messages are in a post, its later ones wait:
 * posts may overtake one another, messages of one station may not. Events go before samples.
 */
import { strict as assert } from 'node:assert';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';

export interface QueueLimits {
  batch_messages_max: number;
  batch_bytes_max: number;
  pending_bytes_max: number;
}

interface Waiting {
  topic: string;
  payload: Uint8Array;
}

/** One station with something waiting or in flight; forgotten when it has neither. */
interface Source {
  station: StationCode;
  events: Waiting[];
  samples: Waiting[];
  in_flight: boolean;
  /** The line it stands in; an entry left behind in another line is stale. */
  line: 'urgent' | 'normal' | null;
}

export interface Batch {
  messages: readonly Waiting[];
  bytes: number;
  sources: readonly Source[];
}

export interface UplinkQueue {
  /** False: no room, the message is not taken. */
  offer(station: StationCode, stream: Stream, topic: string, payload: Uint8Array): boolean;
  /**
   * The next batch, or `null` when nothing may go. Every batch taken must be settled. Where much waits, events go by
   * themselves: their acknowledgement must not wait for the commit of a thousand samples. `events`: only those may go.
   */
  take(only?: 'events'): Batch | null;
  settle(batch: Batch): void;
  /** Forgets what waits (not what is in flight); returns the number of messages. */
  discard(): number;
  /** Messages waiting. */
  readonly waiting: number;
  /** Some of them hold events, whose station has nothing in flight. */
  readonly events_wait: boolean;
  /** Enough waits for a whole batch. */
  readonly full: boolean;
  /** Bytes waiting or in flight. */
  readonly pending_bytes: number;
}

/** What a message costs besides its payload: its frame header, and the objects that hold it. */
const OVERHEAD_BYTES = 128;
/** Samples may fill this part; the rest is kept for events. */
const SAMPLE_SHARE = 0.8;
/** When more than this waits, events and samples go in batches of their own. */
const MIXED_BYTES_MAX = 256 * 1024;

export function createUplinkQueue(limits: QueueLimits): UplinkQueue {
  const sources = new Map<StationCode, Source>();
  let urgent: Source[] = [];
  let normal: Source[] = [];
  let waiting = 0;
  let waiting_bytes = 0;
  let in_flight_bytes = 0;

  const cost = (message: Waiting) => message.payload.length + OVERHEAD_BYTES;

  function stand(source: Source): void {
    if (source.in_flight) return;
    const line = source.events.length > 0 ? 'urgent' : 'normal';
    if (source.line === line || source.line === 'urgent') return;
    source.line = line;
    (line === 'urgent' ? urgent : normal).push(source);
  }

  function sourceOf(station: StationCode): Source {
    let source = sources.get(station);
    if (source === undefined) {
      source = { station, events: [], samples: [], in_flight: false, line: null };
      sources.set(station, source);
    }
    return source;
  }

  /** Moves messages into the batch while they fit; the first message of a batch always fits. */
  function move(from: Waiting[], batch: Waiting[], bytes: number): number {
    let count = 0;
    for (const message of from) {
      const full =
        batch.length === limits.batch_messages_max ||
        bytes + cost(message) > limits.batch_bytes_max;
      if (full && batch.length > 0) break;
      batch.push(message);
      bytes += cost(message);
      count += 1;
    }
    from.splice(0, count);
    return bytes;
  }

  /** Walks a line from its head; returns what is left of it. */
  function collect(
    name: 'urgent' | 'normal',
    line: Source[],
    batch: Waiting[],
    taken: Source[],
    bytes: number,
    only_events: boolean,
  ) {
    let at = 0;
    for (; at < line.length; at += 1) {
      const source = line[at];
      assert(source);
      if (source.line !== name) continue;
      const before = batch.length;
      bytes = move(source.events, batch, bytes);
      if (source.events.length === 0 && !only_events) bytes = move(source.samples, batch, bytes);
      if (batch.length === before) break;
      source.line = null;
      source.in_flight = true;
      taken.push(source);
    }
    return { rest: at === line.length ? [] : line.slice(at), bytes };
  }

  return {
    offer(station, stream, topic, payload) {
      const message = { topic, payload };
      const room = limits.pending_bytes_max * (stream === 'sample' ? SAMPLE_SHARE : 1);
      if (waiting_bytes + in_flight_bytes + cost(message) > room) return false;
      const source = sourceOf(station);
      (stream === 'event' ? source.events : source.samples).push(message);
      waiting += 1;
      waiting_bytes += cost(message);
      stand(source);
      return true;
    },
    take(only) {
      const messages: Waiting[] = [];
      const taken: Source[] = [];
      const crowded = only === 'events' || waiting_bytes > MIXED_BYTES_MAX;
      let { rest, bytes } = collect('urgent', urgent, messages, taken, 0, crowded);
      urgent = rest;
      if (only !== 'events' && (messages.length === 0 || !crowded)) {
        ({ rest, bytes } = collect('normal', normal, messages, taken, bytes, false));
        normal = rest;
      }
      if (messages.length === 0) return null;
      waiting -= messages.length;
      waiting_bytes -= bytes;
      in_flight_bytes += bytes;
      return { messages, bytes, sources: taken };
    },
    settle(batch) {
      in_flight_bytes -= batch.bytes;
      assert(in_flight_bytes >= 0);
      for (const source of batch.sources) {
        source.in_flight = false;
        if (source.events.length + source.samples.length > 0) stand(source);
        else sources.delete(source.station);
      }
    },
    discard() {
      const count = waiting;
      for (const source of sources.values()) {
        source.events = [];
        source.samples = [];
        source.line = null;
        if (!source.in_flight) sources.delete(source.station);
      }
      urgent = [];
      normal = [];
      waiting = 0;
      waiting_bytes = 0;
      return count;
    },
    get waiting() {
      return waiting;
    },
    get events_wait() {
      return urgent.some((source) => source.line === 'urgent');
    },
    get full() {
      return waiting >= limits.batch_messages_max || waiting_bytes >= limits.batch_bytes_max;
    },
    get pending_bytes() {
      return waiting_bytes + in_flight_bytes;
    },
  };
}
