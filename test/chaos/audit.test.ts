/** The auditor against a database that was tampered with: it must say exactly which record, and of a sound one nothing. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { generate } from 'mqtt-packet';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { audit, type Evidence } from './audit.ts';
import { behind } from './drain.ts';
import { readPoints, readStored, withDatabase } from './evidence.ts';
import { comparePrefixes } from './watch.ts';
import { createWiretap, type Wiretap } from './wiretap.ts';

const STATION = '370102001W0001E';
const EPOCH = 'aaaaaaaaaaaa';
const EVENTS = 9;
const SAMPLES = 6;
const AT = 1_790_000_000_000;
const CARD = 5;
const schema = new URL('../../cloud/database/migrations/0001_core.sql', import.meta.url);

let postgres: TestPostgres;
let client: pg.Client;
let wiretap: Wiretap;

/** Keys in another order than the database gives them back. */
const eventOf = (seq: number) => ({
  mono: seq,
  kind: 'access',
  at: AT + seq,
  boot: '0badcafe',
  clock: 'synced',
  outcome: 'granted',
  method: seq === EVENTS ? 'remote' : 'qr',
  ...(seq === EVENTS ? { command: 'order-1' } : { card: CARD }),
  decision_us: 1,
});
const sampleOf = (seq: number) =>
  seq === SAMPLES
    ? {
        kind: 'gap',
        at: AT,
        mono: 1,
        boot: '0badcafe',
        clock: 'synced',
        span: 3,
        reason: 'x',
        from_at: 1,
      }
    : {
        kind: 'report',
        at: AT + seq,
        mono: seq,
        boot: '0badcafe',
        clock: 'synced',
        values: { co2_ppm: seq },
      };
const numbers = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

function send(stream: string, first: number, records: object[]): Buffer {
  const payload = JSON.stringify({ epoch: EPOCH, first, records });
  return generate({
    cmd: 'publish',
    topic: `ws/1/${STATION}/up/${stream}`,
    payload,
    qos: 0,
    dup: false,
    retain: false,
  });
}

beforeAll(async () => {
  postgres = await startPostgres();
  client = new pg.Client(postgres.url);
  await client.connect();
  await client.query(readFileSync(schema, 'utf8'));
  await client.query('alter table event drop constraint event_pkey'); // so that a row can stand twice
  await client.query(
    `insert into organisation (level, adcode, name, path) values ('province', '37', 'x', '1')`,
  );
  await client.query(
    `insert into station (code, name, kind, organisation_id, longitude, latitude) values ($1, 'x', 'W', 1, 0, 0)`,
    [STATION],
  );
});
afterAll(async () => {
  await client.end();
  await postgres.stop();
});

beforeEach(async () => {
  await client.query('truncate event, stream_cursor, stream_fault, dead_letter');
  let link = hash('sha256', `waystation-chain/1\n${STATION}\n${EPOCH}`, 'hex');
  for (const seq of numbers(EVENTS)) {
    const body = JSON.stringify(eventOf(seq));
    link = hash('sha256', `${link}\n${body}`, 'hex');
    await client.query(
      `insert into event values (1, 1, $1, 'access', now(), now(), 'synced', 'live', $2)`,
      [seq, body],
    );
  }
  const cursor = `insert into stream_cursor values (1, $1, '${EPOCH}', 1, $2, $3, now(), now())`;
  await client.query(cursor, ['event', EVENTS, link]);
  await client.query(cursor, ['sample', SAMPLES + 2, null]);
  await client.query(
    `insert into stream_fault (station_id, stream, epoch, kind, seq, span, first_at, last_at)
     values (1, 'sample', '${EPOCH}', 'gap', ${SAMPLES}, 3, now(), now())`,
  );
  wiretap = createWiretap();
  // Cut into pieces as a network does, and part of it twice as a station does.
  const bytes = Buffer.concat([
    send('event', 1, numbers(4).map(eventOf)),
    send('event', 3, numbers(EVENTS).slice(2).map(eventOf)),
    send('sample', 1, numbers(SAMPLES).map(sampleOf)),
  ]);
  const hear = wiretap.listen();
  for (let at = 0; at < bytes.length; at += 37) hear(bytes.subarray(at, at + 37));
});

function influxAnswer(seqs: readonly number[]) {
  const values = seqs.map((seq) => [AT + seq, seq, null]);
  const series = [{ tags: { station: STATION }, columns: ['time', 'co2_ppm', 'org'], values }];
  return () => Promise.resolve({ results: [{ series }] });
}

async function evidence(change: Partial<Evidence> = {}): Promise<Evidence> {
  const place = { station: STATION, epoch: EPOCH, acked: 0 };
  const scan = { station: STATION, card: CARD, at: AT, denial: null, decision_ms: 1 };
  return {
    ...(await withDatabase(postgres.url, readStored)),
    produced: [
      { ...place, stream: 'event', head: EVENTS },
      { ...place, stream: 'sample', head: SAMPLES + 2 },
    ],
    wire: wiretap.streams(),
    points: await readPoints(influxAnswer(numbers(SAMPLES - 1))),
    observed: [],
    scans: numbers(EVENTS - 1).map(() => ({ ...scan, outcome: 'granted' })),
    orders: [{ station: STATION, id: 'order-1', at: AT, deadline_at: AT + 1 }],
    jumps: [],
    boot_at: AT,
    ...change,
  };
}

const ONE_EVENT = { station: STATION, stream: 'event', epoch: EPOCH };

test('of a sound run it says nothing, and counts it all', async () => {
  const { counts, first, produced, committed } = audit(await evidence());
  expect(first).toEqual([]);
  expect(counts).toEqual({ lost: 0, duplicated: 0, out_of_order: 0, altered: 0, late: 0 });
  expect([produced, committed]).toEqual([EVENTS + SAMPLES + 2, EVENTS + SAMPLES + 2]);
});

test('a deleted row is lost, by its number', async () => {
  await client.query('delete from event where seq in (4, 6)');
  const { counts, first } = audit(await evidence({ scans: [] }));
  expect(counts).toMatchObject({ lost: 2, out_of_order: 0, altered: 0 });
  expect(first[0]).toMatchObject({ ...ONE_EVENT, class: 'lost', seq: 4 });
});

test('a row that stands twice is duplicated, by its number', async () => {
  await client.query('insert into event select * from event where seq = 7');
  const { counts, first } = audit(await evidence());
  expect(counts).toMatchObject({ lost: 0, out_of_order: 0 });
  expect(first).toContainEqual(
    expect.objectContaining({ class: 'duplicated', seq: 7, what: 'stands 2 times in event' }),
  );
});

test('two rows that changed places are out of order, both', async () => {
  await client.query(
    `update event set body = other.body from event as other where (event.seq, other.seq) in ((3, 5), (5, 3))`,
  );
  const { counts, first } = audit(await evidence());
  expect(counts).toEqual({ lost: 0, duplicated: 0, out_of_order: 2, altered: 0, late: 0 });
  expect(first).toEqual([
    { ...ONE_EVENT, class: 'out_of_order', seq: 3, what: 'holds the record that was sent as 5' },
  ]);
});

test('a rewritten row, and a chain that ends elsewhere, are altered', async () => {
  await client.query(`update event set body = jsonb_set(body, '{decision_us}', '2') where seq = 8`);
  expect(audit(await evidence()).first).toMatchObject([{ ...ONE_EVENT, class: 'altered', seq: 8 }]);
  await client.query(`update event set body = jsonb_set(body, '{decision_us}', '1') where seq = 8`);
  await client.query(`update stream_cursor set last_hash = repeat('0', 64) where stream = 'event'`);
  expect(audit(await evidence()).first).toMatchObject([{ class: 'altered', seq: EVENTS }]);
});

test('a sample without point or gap is lost; a point that nobody sent is one too many', async () => {
  const points = await readPoints(influxAnswer([1, 2, 4, 5, 77]));
  expect(audit(await evidence({ points })).first).toMatchObject([
    { class: 'lost', stream: 'sample', seq: 3 },
    {
      class: 'duplicated',
      stream: 'sample',
      what: `a point at ${AT + 77} that no report explains`,
    },
  ]);
  await client.query('delete from stream_fault');
  expect(audit(await evidence()).first).toMatchObject([{ class: 'lost', seq: SAMPLES }]);
});

test('a sample that was sent under two times and stands at both is duplicated', async () => {
  wiretap.listen()(send('sample', 2, [{ ...sampleOf(2), at: AT + 50 }]));
  const sound = await evidence();
  expect(audit(sound).counts.duplicated).toBe(0);
  sound.points.get(STATION)?.set(AT + 50, { co2_ppm: 2 });
  expect(audit(sound).first).toMatchObject([{ class: 'duplicated', stream: 'sample', seq: 2 }]);
});

test('records that the cloud does not have are lost, those that the station rewrote altered', async () => {
  const place = { station: STATION, epoch: EPOCH, stream: 'event', acked: 0 } as const;
  const produced = [{ ...place, head: EVENTS + 2 }];
  const short = audit(await evidence({ produced }));
  expect(short.first).toMatchObject([{ class: 'lost', seq: EVENTS + 1 }]);
  wiretap.listen()(send('event', 2, [{ ...eventOf(2), decision_us: 9 }]));
  expect(audit(await evidence()).first).toMatchObject([{ class: 'altered', seq: 2 }]);
});

test('an opening at the reader without its event is lost, an event without a scan one too many', async () => {
  const { scans } = await evidence();
  const [scan] = scans;
  if (scan === undefined) throw new Error('no scans');
  expect(audit(await evidence({ scans: [...scans, scan] })).first[0]?.what).toMatch(
    /^openings: 9 conf/,
  );
  const fewer = audit(await evidence({ scans: scans.slice(1) }));
  expect(fewer.first).toMatchObject([{ class: 'duplicated' }]);
  const unanswered = [...scans.slice(1), { ...scan, outcome: 'unanswered' } as const];
  expect(audit(await evidence({ scans: unanswered })).first).toEqual([]);
  const stuck = { ...scan, outcome: 'denied', denial: 'lockFault' } as const;
  expect(audit(await evidence({ scans: [...scans.slice(1), stuck] })).first).toEqual([]);
});

test('a door that an order opened after its deadline is late, unless the station was lied to', async () => {
  const late = { boot_at: AT + 5_000 };
  expect(audit(await evidence(late)).first).toMatchObject([{ class: 'late', seq: EVENTS }]);
  const jumps = [{ station: STATION, from: AT, to: AT + 9_000 }];
  expect(audit(await evidence({ ...late, jumps })).first).toEqual([]);
});

test('dead letters and suspicions of the cloud do not pass', async () => {
  await client.query(
    `insert into dead_letter (station_id, topic, epoch, seq, reason, payload, received_at)
     values (1, 't', '${EPOCH}', 3, 'poison', '', now())`,
  );
  expect(audit(await evidence()).first).toMatchObject([{ class: 'altered', seq: 3 }]);
});

test('a prefix with a hole is out of order, one that shrinks has lost what was committed', () => {
  const look = (events: number, last_seq: number) => [
    { station: STATION, generation: 1, events, last_seq },
  ];
  const first = comparePrefixes(new Map(), look(5, 5));
  expect(first.findings).toEqual([]);
  expect(comparePrefixes(first.after, look(6, 6)).findings).toEqual([]);
  expect(comparePrefixes(first.after, look(6, 7)).findings).toMatchObject([
    { class: 'out_of_order', seq: 7 },
  ]);
  expect(comparePrefixes(first.after, look(3, 3)).findings).toMatchObject([
    { class: 'lost', seq: 4 },
  ]);
});

test('who holds what is said by its numbers', () => {
  const place = { station: STATION, stream: 'event', epoch: EPOCH } as const;
  const goal = { ...place, head: 9, acked: 4 };
  expect(behind(goal, [{ ...place, through: 9, last_hash: null }])).toEqual([]);
  expect(behind(goal, [{ ...place, through: 7, last_hash: null }])).toEqual([
    `${STATION} event ${EPOCH} holds 8 to 9, the cloud has 7`,
  ]);
  expect(behind(goal, [])).toEqual([`${STATION} event ${EPOCH} holds 1 to 9, the cloud has 0`]);
});
