/**
 * A thousand stations, each with a seed of its own: messages and acknowledgements are lost, doubled, delayed and swapped,
 * outboxes are lost, records are poison. The oracle knows only what each station appended.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Database } from '@waystation/cloud/database/open';
import type { Frame } from '@waystation/protocol/gateway-link';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import { type Ack, UPLINK_WINDOW } from '@waystation/protocol/uplink';
import { epochMs, fakeClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { openTestDatabase, seedStations } from './databases.ts';
import {
  accessEvent,
  createStationModel,
  doorEvent,
  reportSample,
  type StationModel,
} from './station-model.ts';
import { createIngestWorld, type IngestWorld } from './world.ts';

const SEEDS = 1_000;
const TORTURE_TICKS = 30;
const TICKS_MAX = 400;
const NOW = Date.UTC(2026, 10, 22, 4, 0, 0);
const LOST = 0.25;

interface Delivery {
  due: number;
  frame: Frame;
}
interface Epoch {
  epoch: string;
  records: { event: EventRecord[]; sample: SampleRecord[] };
}
interface Run {
  seed: number;
  random: () => number;
  station: StationModel;
  /** Every epoch of this station, the last is the living one. */
  epochs: Epoch[];
  flying: Delivery[];
}
const reached = { lost: 0, doubled: 0, delayed: 0, poison: 0, epochs: 0, gaps: 0, ackLost: 0 };

function isPoison(record: EventRecord): boolean {
  return record.kind === 'door' && record.cause.length > 200;
}

function append(run: Run, tick: number): void {
  const { random, station } = run;
  const at = NOW - 1_000_000 + tick * 1_000;
  for (let n = Math.floor(random() * 4); n > 0; n -= 1) {
    const kind = random();
    const mono = tick * 10 + n;
    if (kind < 0.1) reached.poison += 1;
    if (kind < 0.1) station.event({ ...doorEvent(at, mono), cause: 'x'.repeat(201) });
    else if (kind < 0.5) station.event(accessEvent(at, kind < 0.3 ? 'granted' : 'denied', mono));
    else station.event(doorEvent(at, mono));
  }
  for (let n = Math.floor(random() * 4); n > 0; n -= 1)
    station.sample(reportSample(at + n, Math.round(random() * 300) / 10));
}

/** The outbox is lost with everything in it; what was already sent may still arrive. */
function loseOutbox(run: Run): void {
  reached.epochs += 1;
  const { station } = run;
  station.beginEpoch(
    `${String(run.epochs.length).padStart(4, '0')}${String(run.seed).padStart(8, '0')}`,
  );
  run.epochs.push({ epoch: station.epoch, records: station.records });
}

function send(run: Run, tick: number, healed: boolean): void {
  const { random, station } = run;
  for (const stream of STREAMS) {
    let first = station.acked[stream] + 1;
    for (let n = 0; n < UPLINK_WINDOW && first <= station.records[stream].length; n += 1) {
      const count = 1 + Math.floor(random() * 4);
      const copies = healed ? 1 : random() < 0.2 ? 2 : 1;
      if (copies === 2) reached.doubled += 1;
      for (let copy = 0; copy < copies; copy += 1) {
        const delay = healed || random() < 0.6 ? 0 : 1 + Math.floor(random() * 8);
        if (delay > 0) reached.delayed += 1;
        if (!healed && random() < LOST) reached.lost += 1;
        else run.flying.push({ due: tick + delay, frame: station.frame(stream, first, count) });
      }
      first += count;
    }
  }
}

function receive(run: Run, ack: Ack, healed: boolean): void {
  if (ack.problem === 'gap') reached.gaps += 1;
  assert.notEqual(ack.problem, 'fork', `seed=${run.seed}: an honest station was called a fork`);
  if (!healed && run.random() < LOST) reached.ackLost += 1;
  else if (ack.epoch === run.station.epoch) {
    assert(
      ack.through <= run.station.records[ack.stream].length,
      `seed=${run.seed}: acknowledged what was never sent`,
    );
    run.station.acked[ack.stream] = Math.max(run.station.acked[ack.stream], ack.through);
  }
}

function shuffled<T>(items: T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

let database: Database;
let world: IngestWorld;
beforeAll(async () => {
  database = await openTestDatabase('pglite:memory://');
  world = createIngestWorld(database, { clock: fakeClock(epochMs(NOW)) });
});
afterAll(async () => {
  await world.stop();
  await database.close();
});

async function deliver(
  runs: Run[],
  tick: number,
  healed: boolean,
  random: () => number,
): Promise<void> {
  const due: Frame[] = [];
  for (const run of runs) {
    const now = run.flying.filter((delivery) => delivery.due <= tick);
    run.flying = run.flying.filter((delivery) => delivery.due > tick);
    due.push(
      ...shuffled(
        now.map(({ frame }) => frame),
        run.random,
      ),
    );
  }
  const frames = shuffled(due, random);
  const cut = Math.floor(random() * frames.length);
  const by_code = new Map(runs.map((run) => [run.station.code, run]));
  const calls = [frames.slice(0, cut), frames.slice(cut)].map(async (part) => {
    const { acks } = await world.ingest.ingest(part, 'test');
    for (const { station, ack } of acks) {
      const run = by_code.get(station);
      if (run) receive(run, ack, healed);
    }
  });
  await Promise.all(calls);
}

function isDrained({ station, flying }: Run): boolean {
  return (
    flying.length === 0 &&
    STREAMS.every((stream) => station.acked[stream] === station.records[stream].length)
  );
}

async function play(runs: Run[]): Promise<void> {
  const random = prng(SEEDS);
  for (let tick = 0; ; tick += 1) {
    const healed = tick >= TORTURE_TICKS;
    if (healed && runs.every(isDrained)) return;
    assert(
      tick < TICKS_MAX,
      `no progress: seeds ${runs
        .filter((run) => !isDrained(run))
        .map((run) => run.seed)
        .slice(0, 9)
        .join()}`,
    );
    for (const run of runs) {
      if (!healed && run.random() < 0.02) loseOutbox(run);
      if (!healed && run.random() < 0.3) append(run, tick);
      if (run.random() < 0.5) send(run, tick, healed);
    }
    await deliver(runs, tick, healed, random);
  }
}

interface Stored {
  through: Map<string, number>;
  events: Map<string, EventRecord[]>;
  letters: Map<string, number[]>;
  usage: Map<string, [number, number]>;
  points: Map<string, Set<number>>;
}

async function readStored(): Promise<Stored> {
  const query = async <R extends object>(text: string) => (await database.pool.query<R>(text)).rows;
  const key = `s.code || ' ' || c.epoch`;
  const cursors = await query<{ key: string; stream: Stream; through: number }>(
    `select ${key} as key, stream, through::int from stream_cursor c join station s on s.id = c.station_id`,
  );
  const events = await query<{ key: string; bodies: EventRecord[] }>(
    `select ${key} as key, jsonb_agg(e.body order by e.seq) as bodies from event e join station s on s.id = e.station_id
     join stream_cursor c on c.station_id = e.station_id and c.stream = 'event' and c.generation = e.generation group by 1`,
  );
  const letters = await query<{ key: string; seqs: number[] }>(
    `select s.code || ' ' || l.epoch as key, array_agg(l.seq::int order by l.seq) as seqs
     from dead_letter l join station s on s.id = l.station_id group by 1`,
  );
  const usage = await query<{ code: string; o: number; n: number }>(
    `select s.code, sum(openings)::int as o, sum(denials)::int as n from usage_daily u join station s on s.id = u.station_id group by 1`,
  );
  const points = await query<{ code: string; ats: number[] }>(
    `select s.code, array_agg((extract(epoch from at) * 1000)::float8) as ats from telemetry t join station s on s.id = t.station_id group by 1`,
  );
  return {
    through: new Map(cursors.map((row) => [`${row.key} ${row.stream}`, row.through])),
    events: new Map(events.map((row) => [row.key, row.bodies])),
    letters: new Map(letters.map((row) => [row.key, row.seqs])),
    usage: new Map(usage.map((row) => [row.code, [row.o, row.n]])),
    points: new Map(points.map((row) => [row.code, new Set(row.ats.map(Math.round))])),
  };
}

/** Every epoch is stored up to its cursor, exactly; the living one to its end. */
function audit(run: Run, stored: Stored): void {
  const why = `seed=${run.seed}`;
  const { code } = run.station;
  const usage: [number, number] = [0, 0];
  for (const { epoch, records } of run.epochs) {
    const key = `${code} ${epoch}`;
    const through = stored.through.get(`${key} event`) ?? 0;
    if (epoch === run.station.epoch) assert.equal(through, records.event.length, why);
    const taken = records.event.slice(0, through);
    assert.deepEqual(
      stored.events.get(key) ?? [],
      taken.filter((record) => !isPoison(record)),
      why,
    );
    const poison = taken.flatMap((record, index) => (isPoison(record) ? [index + 1] : []));
    assert.deepEqual(stored.letters.get(key) ?? [], poison, why);
    for (const record of taken) {
      if (record.kind === 'access') usage[record.outcome === 'granted' ? 0 : 1] += 1;
    }
    const samples = stored.through.get(`${key} sample`) ?? 0;
    if (epoch === run.station.epoch) assert.equal(samples, records.sample.length, why);
    for (const { at } of records.sample.slice(0, samples))
      assert(stored.points.get(code)?.has(at), why);
  }
  assert.deepEqual(stored.usage.get(code) ?? [0, 0], usage, why);
}

it('stores exactly what the stations appended, whatever the way does to the messages', async () => {
  const codes = await seedStations(database, SEEDS);
  const runs = codes.map((code, seed): Run => {
    const station = createStationModel(code, `0000${String(seed).padStart(8, '0')}`);
    return {
      seed,
      random: prng(seed),
      station,
      epochs: [{ epoch: station.epoch, records: station.records }],
      flying: [],
    };
  });
  await play(runs);
  const stored = await readStored();
  for (const run of runs) audit(run, stored);
  const { rows } = await database.pool.query(
    `select kind, count(*)::int from stream_fault group by kind order by kind`,
  );
  expect(rows.map((row: { kind: string }) => row.kind)).toEqual(['clone', 'epoch']);
  expect(world.ingest.counts.forks).toBe(0);
  for (const [what, times] of Object.entries(reached)) expect(times, what).toBeGreaterThan(100);
}, 120_000);
