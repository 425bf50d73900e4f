/** Judges a run by what was promised: every record once, in order, as it was said. Pure; knows nothing of the product's code. */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Cursor, Points, Produced, Stored, StoredEvent } from './evidence.ts';
import type { Jump, OrderGiven, Scan } from './ledger.ts';
import type { StreamName, WireStream } from './wiretap.ts';

export interface Evidence extends Stored {
  produced: readonly Produced[];
  wire: readonly WireStream[];
  points: Points;
  /** What was seen amiss while the run went on. */
  observed: readonly Finding[];
  scans: readonly Scan[];
  orders: readonly OrderGiven[];
  jumps: readonly Jump[];
  /** Real wall time (ms) when the monotonic clock of this machine stood at 0. */
  boot_at: number;
}

export const CLASSES = ['lost', 'duplicated', 'out_of_order', 'altered', 'late'] as const;
export type FindingClass = (typeof CLASSES)[number];

export interface Finding {
  class: FindingClass;
  station: string;
  stream: StreamName;
  epoch: string;
  seq: number;
  what: string;
}

export interface Verdict {
  produced: number;
  committed: number;
  counts: Record<FindingClass, number>;
  /** Of each class the first by station, stream, epoch and number. */
  first: Finding[];
}

/** An order may be judged in time and its door open a moment later. */
const ACT_MS = 1_000;

export function audit(evidence: Evidence): Verdict {
  const findings = [...evidence.observed];
  const seen = { produced: 0, committed: 0 };
  for (const stream of streamsOf(evidence)) {
    seen.produced += stream.head;
    const judged =
      stream.stream === 'event' ? judgeEvents(stream, evidence) : judgeSamples(stream, evidence);
    seen.committed += judged.committed;
    findings.push(...judged.findings);
  }
  findings.push(
    ...strangers(evidence),
    ...repeatedAcrossEpochs(evidence.events),
    ...unclaimedPoints(evidence),
    ...openings(evidence),
    ...lateOrders(evidence),
  );
  findings.sort(byPlace);
  const of = (kind: FindingClass) => findings.filter((finding) => finding.class === kind);
  return {
    ...seen,
    counts: {
      lost: of('lost').length,
      duplicated: of('duplicated').length,
      out_of_order: of('out_of_order').length,
      altered: of('altered').length,
      late: of('late').length,
    },
    first: CLASSES.flatMap((kind) => of(kind).slice(0, 1)),
  };
}

/** What concerns a whole station comes after what concerns a record. */
const byPlace = (a: Finding, b: Finding) =>
  Number(a.epoch === '-') - Number(b.epoch === '-') ||
  a.station.localeCompare(b.station) ||
  a.stream.localeCompare(b.stream) ||
  a.epoch.localeCompare(b.epoch) ||
  a.seq - b.seq;

interface JudgedStream {
  station: string;
  stream: StreamName;
  epoch: string;
  head: number;
  through: number;
  last_hash: string | null;
  wire: WireStream | undefined;
}
interface Judged {
  committed: number;
  findings: Finding[];
}

const same = (a: { station: string; epoch: string; stream?: StreamName }) => (b: JudgedStreamKey) =>
  a.station === b.station && a.epoch === b.epoch && (a.stream ?? b.stream) === b.stream;
type JudgedStreamKey = Pick<JudgedStream, 'station' | 'stream' | 'epoch'>;

/** Every stream that a station's file or the cloud knows of. One the station gave up counts as far as the cloud had it. */
function streamsOf({ produced, cursors, wire }: Evidence): JudgedStream[] {
  const gone = cursors.filter((cursor) => !produced.some(same(cursor)));
  return [...produced, ...gone].map((known: Produced | Cursor) => {
    const cursor = cursors.find(same(known));
    const { station, stream, epoch } = known;
    const head = 'head' in known ? known.head : known.through;
    return {
      station,
      stream,
      epoch,
      head,
      through: cursor?.through ?? 0,
      last_hash: cursor?.last_hash ?? null,
      wire: wire.find(same(known)),
    };
  });
}

function judgeEvents(stream: JudgedStream, evidence: Evidence): Judged {
  const { station, epoch, head } = stream;
  const findings: Finding[] = [];
  const tell = (kind: FindingClass, seq: number, what: string) =>
    findings.push({ class: kind, station, stream: 'event', epoch, seq, what });
  const rows = new Map<number, unknown[]>();
  for (const event of evidence.events)
    if (event.station === station && event.epoch === epoch)
      rows.set(event.seq, [...(rows.get(event.seq) ?? []), event.body]);
  const sent = new Map<string, number>();
  for (const [seq, [record]] of stream.wire?.records ?? [])
    if (record) sent.set(canonical(JSON.parse(record.json)), seq);

  for (let seq = 1; seq <= head; seq += 1) {
    const [body, ...more] = rows.get(seq) ?? [];
    const variants = stream.wire?.records.get(seq) ?? [];
    if (body === undefined) tell('lost', seq, `not in the table event; the station made ${head}`);
    if (more.length > 0) tell('duplicated', seq, `stands ${more.length + 1} times in event`);
    if (new Set(variants.map(({ json }) => json)).size > 1)
      tell('altered', seq, 'the station sent two different records under this number');
    const said = variants[0];
    if (body === undefined) continue;
    if (said === undefined) tell('altered', seq, 'stored, but never seen on the wire');
    else if (canonical(body) !== canonical(JSON.parse(said.json))) {
      const owner = sent.get(canonical(body));
      if (owner === undefined) tell('altered', seq, 'stored otherwise than it was sent');
      else tell('out_of_order', seq, `holds the record that was sent as ${owner}`);
    }
  }
  for (const seq of rows.keys())
    if (seq < 1 || seq > head) tell('duplicated', seq, `beyond the ${head} that were made`);
  const broken = chainBreak(stream);
  if (broken !== null) tell('altered', stream.through, broken);
  return { committed: rows.size, findings };
}

/** SHA-256 over the hash before and the record's text; recomputed from what was on the wire. */
function chainBreak({ station, epoch, through, last_hash, wire }: JudgedStream): string | null {
  let link = hash('sha256', `waystation-chain/1\n${station}\n${epoch}`, 'hex');
  for (let seq = 1; seq <= through; seq += 1) {
    const record = wire?.records.get(seq)?.[0];
    if (record === undefined) return `record ${seq} of the chain was never seen on the wire`;
    link = hash('sha256', `${link}\n${record.json}`, 'hex');
  }
  return through === 0 || link === last_hash ? null : 'the hash chain ends in another hash';
}

const Report = z.looseObject({ values: z.record(z.string(), z.number()) });

function judgeSamples(stream: JudgedStream, evidence: Evidence): Judged {
  const { station, epoch, head } = stream;
  const points = evidence.points.get(station);
  const found = new Uint8Array(head + 1);
  const cover = (seq: number, span: number) =>
    found.fill(1, seq, Math.min(head, seq + span - 1) + 1);
  const values_at = valuesByTime(evidence.wire, station);
  const findings: Finding[] = [];
  for (const gap of evidence.gaps)
    if (gap.station === station && gap.epoch === epoch) cover(gap.seq, gap.span);
  for (const [seq, variants] of stream.wire?.records ?? []) {
    const times = new Set<number>();
    for (const { span, kind, json, at } of variants) {
      if (kind !== 'report') continue;
      const { values } = Report.parse(JSON.parse(json));
      const point = points?.get(at);
      const fields = Object.entries(values);
      const whole = fields.every(
        // Two reports may fall on one millisecond: then either's value may stand.
        ([name, value]) => {
          const held = point?.[name];
          return (
            held === value || (held !== undefined && values_at.get(`${at} ${name}`)?.has(held))
          );
        },
      );
      if (!whole) continue;
      cover(seq, span);
      if (fields.length > 0) times.add(at);
    }
    if (times.size > 1)
      findings.push({
        class: 'duplicated',
        station,
        stream: 'sample',
        epoch,
        seq,
        what: `stands at ${times.size} times in InfluxDB: ${[...times].join(', ')}`,
      });
  }
  let committed = 0;
  for (let seq = 1; seq <= head; seq += 1) {
    if (found[seq] === 1 && seq <= stream.through) committed += 1;
    else {
      const what =
        seq > stream.through
          ? `the cloud has ${stream.through} of ${head}`
          : 'neither a point nor a gap speaks of it';
      findings.push({ class: 'lost', station, stream: 'sample', epoch, seq, what });
    }
  }
  return { committed, findings };
}

function valuesByTime(wire: readonly WireStream[], station: string): Map<string, Set<number>> {
  const values_at = new Map<string, Set<number>>();
  for (const { json, at } of reportsOf(wire, station))
    for (const [name, value] of Object.entries(Report.parse(JSON.parse(json)).values)) {
      const key = `${at} ${name}`;
      values_at.set(key, (values_at.get(key) ?? new Set()).add(value));
    }
  return values_at;
}

function reportsOf(wire: readonly WireStream[], station: string) {
  return wire
    .filter((stream) => stream.station === station && stream.stream === 'sample')
    .flatMap(({ records }) => [...records.values()].flat())
    .filter(({ kind }) => kind === 'report');
}

/** Rows of stations or epochs that nobody made; dead letters: a record that was refused is not committed. */
function strangers({ events, cursors, letters, suspicions, produced }: Evidence): Finding[] {
  const unknown = events.filter(
    (event) => !cursors.some((cursor) => cursor.stream === 'event' && same(event)({ ...cursor })),
  );
  return [
    ...unknown.map(({ station, epoch, seq }) => ({
      class: 'duplicated' as const,
      station,
      stream: 'event' as const,
      epoch,
      seq,
      what: 'a row of an epoch without a cursor',
    })),
    ...letters.map(({ station, epoch, seq, reason }) => ({
      class: 'altered' as const,
      station: station ?? '-',
      stream: 'event' as const,
      epoch: epoch ?? '-',
      seq: seq ?? 0,
      what: `dead letter: ${reason}`,
    })),
    ...suspicions
      .filter(({ kind }) => kind !== 'epoch' || produced.length > 0)
      .map(({ station, epoch, kind }) => ({
        class: 'altered' as const,
        station,
        stream: 'event' as const,
        epoch,
        seq: 0,
        what: `the cloud suspects: ${kind}`,
      })),
  ];
}

/** A record carries its boot and the time since it: the same one under two epochs was stored twice. */
function repeatedAcrossEpochs(events: readonly StoredEvent[]): Finding[] {
  const first = new Map<string, string>();
  return events.flatMap(({ station, epoch, seq, body }) => {
    const key = `${station} ${canonical(body)}`;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, epoch);
    if (earlier === undefined || earlier === epoch) return [];
    const what = `the same record stands in epoch ${earlier}`;
    return [{ class: 'duplicated' as const, station, stream: 'event' as const, epoch, seq, what }];
  });
}

function unclaimedPoints({ points, wire }: Evidence): Finding[] {
  return [...points].flatMap(([station, held]) => {
    const claimed = new Set(reportsOf(wire, station).map(({ at }) => at));
    const alone = [...held.keys()].filter((at) => !claimed.has(at));
    return alone.map((at) => ({
      class: 'duplicated' as const,
      station,
      stream: 'sample' as const,
      epoch: '-',
      seq: 0,
      what: `a point at ${at} that no report explains`,
    }));
  });
}

const Access = z.looseObject({
  kind: z.literal('access'),
  outcome: z.string(),
  card: z.number().optional(),
  command: z.string().optional(),
  mono: z.number(),
});

/** Whoever saw "open" at the reader has an access event; nobody has more than scans were shown. */
function openings({ events, scans }: Evidence): Finding[] {
  return [...Map.groupBy(scans, ({ station }) => station)].flatMap(
    ([station, shown]): Finding[] => {
      const confirmed = shown.filter(({ outcome }) => outcome === 'granted');
      // Granted and on record, then the bolt did not move: the reader says so.
      const open = shown.filter(
        ({ outcome, denial }) => outcome === 'unanswered' || denial === 'lockFault',
      );
      const cards = new Set(shown.map(({ card }) => card));
      const granted = events.filter((event) => {
        const access = Access.safeParse(event.body).data;
        return (
          event.station === station && access?.outcome === 'granted' && cards.has(access.card ?? -1)
        );
      });
      const facts = `${confirmed.length} confirmed at the reader, ${open.length} unanswered or without a lock, ${granted.length} access events`;
      const finding = { station, stream: 'event' as const, epoch: '-', seq: granted.length };
      if (granted.length < confirmed.length)
        return [{ ...finding, class: 'lost' as const, what: `openings: ${facts}` }];
      if (granted.length > confirmed.length + open.length)
        return [{ ...finding, class: 'duplicated' as const, what: `openings: ${facts}` }];
      return [];
    },
  );
}

/** Time since the boot does not jump: it tells when the door really opened. */
function lateOrders({ events, orders, jumps, boot_at }: Evidence): Finding[] {
  return events.flatMap(({ station, epoch, seq, body }) => {
    const access = Access.safeParse(body).data;
    const order = orders.find(({ id }) => id === access?.command);
    if (access === undefined || order === undefined || access.outcome !== 'granted') return [];
    const late_ms = Math.round(boot_at + access.mono - order.deadline_at);
    // A station that was lied to about the time cannot know better.
    const misled = jumps.some(
      (jump) =>
        jump.station === station && jump.from <= order.deadline_at + late_ms && order.at <= jump.to,
    );
    if (late_ms <= ACT_MS || misled) return [];
    const what = `order ${order.id} opened the door ${late_ms} ms after its deadline`;
    return [{ class: 'late' as const, station, stream: 'event' as const, epoch, seq, what }];
  });
}

/** The same text for the same value, whatever the order of its keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
