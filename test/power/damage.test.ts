/** A damaged outbox never keeps a station from starting: what is unsound is set aside, and the new epoch says so. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCommandJournal, JOURNAL_ROWS_MAX } from '@waystation/edge/command/command-journal';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import { EPOCH_ID, EventRecord, SampleRecord, spanOf } from '@waystation/protocol/records';
import { STREAMS } from '@waystation/protocol/topics';
import { epochMs, fakeClock, systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { DAMAGES, type Damage } from './damage.ts';
import { STARTED_AT, STATION } from './promises.ts';

const SEED = 20_261_124;
const EVENTS = 120;
const SAMPLES = 200;
const ACKED = 30;
/** The product's promise, however damaged the file. */
const OPEN_MAX_MS = 5_000;
const TIMES = 25;
const directory = mkdtempSync(join(tmpdir(), 'damage-'));
const SHAPES = ['stopped', 'cut'] as const;
const ALL = { records: 256, bytes: 1 << 20 };
const clock = systemClock();
let bodies: string[] = [];

function open(path: string, seed: number) {
  const store = openOutboxStore({
    path: join(path, 'outbox.db'),
    clock: fakeClock(epochMs(STARTED_AT)),
    random: prng(seed),
    commit: 'immediate',
    disk_budget_bytes: 4_000_000,
    log: silentLog,
  });
  const outbox = store.outbox(STATION, stamp);
  const journal = createCommandJournal(store.table('orders', { rows: JOURNAL_ROWS_MAX + 1 }));
  return { store, outbox, journal };
}
let n = 0;
const stamp = () => ({
  at: STARTED_AT,
  mono: (n += 1),
  boot: '0000cafe',
  clock: 'synced' as const,
});
type Station = ReturnType<typeof open>;

/** Some of everything, half of it still in the journal. */
beforeAll(async () => {
  const live = join(directory, 'live');
  mkdirSync(live);
  const station = open(live, 1);
  const written: EventRecord[] = [];
  for (let count = 1; count < EVENTS; count += 1) {
    if (count % 10 === 0)
      station.journal.begin({
        kind: 'open',
        id: `order-${count}-abcd`,
        nonce: String(count).padStart(16, '0'),
        issued_at: STARTED_AT,
        deadline_at: STARTED_AT + 60_000,
        min_clock: 'synced',
        actor: 'officer',
        reason: 'a worker rang',
      });
    const record = { kind: 'mode', ...stamp(), mode: 'normal', cause: `event ${count}` } as const;
    await station.outbox.appendEvent(record);
    written.push(record);
  }
  for (let count = 0; count < SAMPLES; count += 1)
    station.outbox.appendSample({ kind: 'report', ...stamp(), values: { co2_ppm: 400 } });
  const { epoch } = station.outbox.position('event');
  station.outbox.acknowledge({ stream: 'event', epoch, through: ACKED });
  await station.store.flush();
  bodies = written.map((record) => JSON.stringify(record));
  cpSync(live, join(directory, 'cut'), { recursive: true });
  station.store.close();
  cpSync(live, join(directory, 'stopped'), { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

function readAll(station: Station) {
  const { outbox } = station;
  const events: string[] = [];
  let first: unknown = null;
  let last = outbox.position('event').acked;
  for (let read; (read = outbox.read('event', last, ALL));) {
    for (const record of read.message.records) {
      expect(EventRecord.safeParse(record).success, JSON.stringify(record)).toBe(true);
      first ??= record;
      events.push(JSON.stringify(record));
    }
    last = read.last;
  }
  expect(last).toBe(outbox.position('event').head);
  const gaps: number[] = [];
  let at = outbox.position('sample').acked;
  for (let read; (read = outbox.read('sample', at, ALL));) {
    for (const record of read.message.records)
      if (record.kind === 'gap') gaps.push(spanOf(SampleRecord.parse(record)));
    at = read.last;
  }
  expect(at).toBe(outbox.position('sample').head);
  return { events, first, gaps };
}

/** Opens what is left, twice, with an event between; throws at the first broken promise. */
async function start(path: string, seed: number) {
  const began = clock.mono();
  const station = open(path, seed);
  const open_ms = clock.mono() - began;
  let set_aside = false;
  try {
    expect(open_ms).toBeLessThan(OPEN_MAX_MS);
    station.journal.unfinished();
    // Some damage shows only when it is read: then the file is set aside, and the uplink begins the new epoch anew.
    for (const stream of STREAMS)
      station.outbox.read(stream, station.outbox.position(stream).acked, ALL);
    const { events, first } = readAll(station);
    const { epoch } = station.outbox.position('event');
    expect(epoch).toMatch(EPOCH_ID);
    set_aside = station.store.counters().files_set_aside > 0;
    if (set_aside) expect(first).toMatchObject({ kind: 'epoch', reason: 'corrupt' });
    // What is there is what was written, in its order; nothing that a flipped bit made.
    const ours = events.filter((body) => !body.includes('"kind":"epoch"'));
    const places = ours.map((body) => bodies.indexOf(body));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    await station.outbox.appendEvent({
      kind: 'mode',
      ...stamp(),
      mode: 'normal',
      cause: 'goes on',
    });
  } finally {
    station.store.close();
  }
  const again = open(path, seed + 1);
  expect(readAll(again).events.at(-1)).toContain('goes on');
  expect(again.store.counters().files_set_aside).toBe(0);
  again.store.close();
  return { open_ms, set_aside };
}

const damages = Object.keys(DAMAGES) as Damage[];
test.each(damages)(`%s, ${TIMES} times, seed ${SEED}: the station starts`, async (damage) => {
  const random = prng(SEED + damages.indexOf(damage));
  const failures: string[] = [];
  let [slowest_ms, aside] = [0, 0];
  for (let time = 0; time < TIMES; time += 1) {
    const path = join(directory, 'damaged');
    rmSync(path, { recursive: true, force: true });
    cpSync(join(directory, SHAPES[time % 2] ?? 'cut'), path, { recursive: true });
    DAMAGES[damage](join(path, 'outbox.db'), random);
    try {
      const { open_ms, set_aside } = await start(path, time + 10);
      slowest_ms = Math.max(slowest_ms, open_ms);
      aside += set_aside ? 1 : 0;
      const kept = readdirSync(path).some((name) => name.includes('.corrupt-'));
      if (set_aside !== kept) failures.push(`${time}: set aside ${set_aside}, kept ${kept}`);
    } catch (error) {
      failures.push(`${time}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  console.log(`${damage}: ${aside} of ${TIMES} set aside, slowest ${Math.round(slowest_ms)} ms`);
  expect(failures).toEqual([]);
});
