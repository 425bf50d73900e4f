/**
 * What a fleet made durable against what the stores hold, record by record. Knows the ledger's lines and the tables;
 * nothing of how either came to be. Both sides are read as streams, so that a province fits.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { z } from 'zod';

const Line = z.union([
  z.tuple([z.string(), z.enum(['event', 'sample']), z.string(), z.int(), z.literal('opened')]),
  z.tuple([
    z.string(),
    z.enum(['event', 'sample']),
    z.string(),
    z.int(),
    z.string().length(16),
    z.int(),
  ]),
]);

interface LedgerStream {
  /** Everything up to here was durable before the ledger began; what it was nobody noted. */
  opened: number;
  head: number;
  digests: Map<number, string>;
  /** Of samples: wall time in ms, under which the telemetry store keeps them. */
  times: Map<number, number>;
}
export interface LedgerBook {
  /** Key: station/stream/epoch. */
  streams: Map<string, LedgerStream>;
}

export interface Verdict {
  produced: number;
  committed: number;
  lost: number;
  duplicated: number;
  changed: number;
  /** In the stores, but no station made them. */
  invented: number;
  /** The first record at fault of each kind, as station/stream/epoch/seq. */
  first: Partial<Record<'lost' | 'duplicated' | 'changed' | 'invented', string>>;
}

const keyOf = (station: string, stream: string, epoch: string) => `${station}/${stream}/${epoch}`;

/** The ledger's own rule, written a second time: SHA-256 of the JSON with sorted keys. */
function digest(value: unknown): string {
  const sorted = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(sorted);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(
      Object.entries(part)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, member]) => [name, sorted(member)]),
    );
  };
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
    .slice(0, 16);
}

export async function readLedger(path: string): Promise<LedgerBook> {
  const streams = new Map<string, LedgerStream>();
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const [station, stream, epoch, seq, what, at] = Line.parse(JSON.parse(text));
    const key = keyOf(station, stream, epoch);
    const book = streams.get(key) ?? {
      opened: 0,
      head: 0,
      digests: new Map(),
      times: new Map(),
    };
    streams.set(key, book);
    book.head = Math.max(book.head, seq);
    if (what === 'opened') {
      if (book.digests.size === 0) book.opened = Math.max(book.opened, seq);
      continue;
    }
    book.digests.set(seq, what);
    if (stream === 'sample') book.times.set(seq, at ?? 0);
  }
  return { streams };
}

const EVENTS = `declare events no scroll cursor for
  select station.code as station, cursor.epoch, event.seq::int8 as seq, event.body
  from event
  join station on station.id = event.station_id
  join stream_cursor as cursor on cursor.station_id = event.station_id
    and cursor.stream = 'event' and cursor.generation = event.generation`;
const FETCHED = 10_000;
const EventRow = z.object({
  station: z.string(),
  epoch: z.string(),
  seq: z.coerce.number(),
  body: z.unknown(),
});

/** Up to which record of each stream (key: station/stream/epoch) the audit looks: what came later may be under way. */
export type Until = ReadonlyMap<string, number>;

function faultsOf(verdict: Verdict) {
  return (kind: keyof Verdict['first'], where: string): void => {
    verdict[kind] += 1;
    verdict.first[kind] ??= where;
  };
}

function blank(): Verdict {
  const none = { produced: 0, committed: 0, lost: 0, duplicated: 0, changed: 0, invented: 0 };
  return { ...none, first: {} };
}

/** What the event table holds: key → sequence number → digest of the body. */
export interface StoredEvents {
  bodies: Map<string, Map<number, string>>;
  /** Records that stand there more than once. */
  repeated: string[];
}

export async function readEvents(url: string): Promise<StoredEvents> {
  const stored: StoredEvents = { bodies: new Map(), repeated: [] };
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query('begin');
    await client.query(EVENTS);
    for (;;) {
      const { rows } = await client.query(`fetch ${FETCHED} from events`);
      if (rows.length === 0) break;
      for (const row of z.array(EventRow).parse(rows)) {
        const key = keyOf(row.station, 'event', row.epoch);
        const bodies = stored.bodies.get(key) ?? new Map<number, string>();
        stored.bodies.set(key, bodies);
        if (bodies.has(row.seq)) stored.repeated.push(`${key}/${row.seq}`);
        bodies.set(row.seq, digest(row.body));
      }
    }
  } finally {
    await client.end();
  }
  return stored;
}

/** Every event of the ledger up to `until` stands once in the table, with the body it was made with; and nothing else does. */
export function auditEvents(stored: StoredEvents, book: LedgerBook, until: Until): Verdict {
  const verdict = blank();
  const fault = faultsOf(verdict);
  for (const where of stored.repeated) fault('duplicated', where);
  for (const [key, bodies] of stored.bodies) {
    const known = book.streams.get(key);
    for (const [seq, body] of bodies) {
      if (known === undefined || seq > known.head) fault('invented', `${key}/${seq}`);
      else if (seq > known.opened && known.digests.get(seq) !== body)
        fault('changed', `${key}/${seq}`);
    }
  }
  for (const [key, through] of until) {
    if (!key.includes('/event/')) continue;
    const bodies = stored.bodies.get(key);
    verdict.produced += through;
    for (let seq = 1; seq <= through; seq += 1) {
      if (bodies?.has(seq)) verdict.committed += 1;
      else fault('lost', `${key}/${seq}`);
    }
  }
  return verdict;
}

/** Every sample of the ledger up to `until` is a point of its station at its time; and no point is anything else. */
export function auditSamples(
  book: LedgerBook,
  points: ReadonlyMap<string, ReadonlySet<number>>,
  until: Until,
): Verdict {
  const verdict = blank();
  const fault = faultsOf(verdict);
  const known = new Map<string, Set<number>>();
  for (const [key, { times }] of book.streams) {
    const station = key.slice(0, key.indexOf('/'));
    const stored = points.get(station);
    const through = until.get(key) ?? 0;
    const made = known.get(station) ?? new Set();
    known.set(station, made);
    for (const [seq, at] of times) {
      made.add(at);
      if (seq > through) continue;
      verdict.produced += 1;
      if (stored?.has(at)) verdict.committed += 1;
      else fault('lost', `${key}/${seq} at ${at}`);
    }
  }
  for (const [station, stored] of points)
    for (const at of stored)
      if (!known.get(station)?.has(at)) fault('invented', `${station}/sample at ${at}`);
  return verdict;
}

export function together(a: Verdict, b: Verdict): Verdict {
  return {
    produced: a.produced + b.produced,
    committed: a.committed + b.committed,
    lost: a.lost + b.lost,
    duplicated: a.duplicated + b.duplicated,
    changed: a.changed + b.changed,
    invented: a.invented + b.invented,
    first: { ...b.first, ...a.first },
  };
}
