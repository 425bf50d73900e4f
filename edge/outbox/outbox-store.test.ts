import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { spanOf, type EventRecord, type SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import { epochMs, fakeClock, type FakeClock } from '@waystation/runtime/clock';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import type { Stream } from '@waystation/protocol/topics';
import type { Outbox } from '../ports.ts';
import { openOutboxStore, type OutboxStore, type OutboxStoreOptions } from './outbox-store.ts';

const STATION = stationCode('370102001', 'W', 1);
const ALL = { records: 256, bytes: 128 * 1024 };
const stampAt = (mono: number) => ({ at: 1_780_000_000_000 + mono, mono, boot: 'abcdef01', clock: 'synced' as const });
const event = (n: number): EventRecord => ({ kind: 'mode', ...stampAt(n), mode: 'normal', cause: `event ${n}` });
const sample = (n: number): SampleRecord => ({ kind: 'report', ...stampAt(n), values: { temperature_cel: n % 80, co2_ppm: n % 900 } });

let dir: string;
let clock: FakeClock;
let stores: OutboxStore[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outbox-'));
  clock = fakeClock();
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(dir, { recursive: true });
});

function open(options: Partial<OutboxStoreOptions> = {}) {
  const store = openOutboxStore({
    path: join(dir, 'outbox.db'),
    clock,
    random: prng(1),
    commit: 'immediate',
    disk_budget_bytes: 16 * 1024 * 1024,
    log: silentLog,
    ...options,
  });
  stores.push(store);
  return { store, outbox: store.outbox(STATION, () => stampAt(0)) };
}

/** Everything from `after` on, message by message, as the uplink reads it; checks numbers, spans and the chain. */
function drain(outbox: Outbox, stream: Stream, after = outbox.position(stream).acked, limits = ALL) {
  const records: { seq: number; record: EventRecord | SampleRecord }[] = [];
  const { epoch, head } = outbox.position(stream);
  let hash: string | null = null;
  let last = after;
  for (let read = outbox.read(stream, last, limits); read !== null; read = outbox.read(stream, last, limits)) {
    expect(read.message).toMatchObject({ epoch, first: last + 1 });
    if (hash !== null) expect(read.message.previous_hash).toBe(hash);
    hash = read.message.previous_hash ?? null;
    for (const record of read.message.records) {
      records.push({ seq: last + 1, record });
      last += spanOf(record as SampleRecord);
      if (hash !== null) hash = chainNext(hash, JSON.stringify(record));
    }
    expect(read.last).toBe(last);
  }
  expect(last).toBe(head);
  return records;
}

async function appendEvents(outbox: Outbox, from: number, to: number) {
  for (let n = from; n <= to; n += 1) await outbox.appendEvent(event(n));
}

describe('two streams', () => {
  test('begin with an epoch record, number without a gap, chain', async () => {
    const { outbox } = open();
    expect(await outbox.appendEvent(event(1))).toEqual({ seq: 2 });
    expect(await outbox.appendEvent(event(2))).toEqual({ seq: 3 });
    const { epoch } = outbox.position('event');
    expect(epoch).toMatch(/^[0-9a-f]{12}$/);
    const first = outbox.read('event', 0, ALL);
    expect(first).toMatchObject({
      last: 3,
      message: { epoch, first: 1, previous_hash: chainStart(STATION, epoch) },
    });
    expect(first?.message.records[0]).toMatchObject({ kind: 'epoch', reason: 'created' });
    const records = first?.message.records ?? [];
    const hash = [0, 1].reduce((h, i) => chainNext(h, JSON.stringify(records[i])), chainStart(STATION, epoch));
    expect(outbox.read('event', 2, ALL)).toEqual({
      last: 3,
      message: { epoch, first: 3, previous_hash: hash, records: [event(2)] },
    });
    expect(outbox.read('event', 3, ALL)).toBeNull();
    expect(outbox.read('sample', 0, ALL)).toBeNull();
  });

  test('a message keeps within its limits and holds at least one record', async () => {
    const { outbox } = open();
    await appendEvents(outbox, 1, 30);
    expect(outbox.read('event', 0, { records: 7, bytes: 1e6 })?.last).toBe(7);
    expect(outbox.read('event', 0, { records: 256, bytes: 1 })?.last).toBe(1);
    const read = outbox.read('event', 0, { records: 256, bytes: 2_000 });
    expect(JSON.stringify(read?.message.records).length).toBeLessThanOrEqual(2_000);
    expect(drain(outbox, 'event', 0, { records: 5, bytes: 700 })).toHaveLength(31);
  });

  test('events of one turn share one commit and are told after it', async () => {
    const { store, outbox } = open();
    const heard: Stream[] = [];
    outbox.onAppend((stream) => heard.push(stream));
    const before = store.counters().commits;
    const all = Promise.all([outbox.appendEvent(event(1)), outbox.appendEvent(event(2))]);
    expect(outbox.position('event').head).toBe(1);
    expect(await all).toEqual([{ seq: 2 }, { seq: 3 }]);
    expect(store.counters().commits).toBe(before + 1);
    expect(heard).toEqual(['event']);
  });

  test('samples wait for their group: twenty, or five seconds, or the next event', async () => {
    const { outbox } = open();
    outbox.appendSample(sample(1));
    await clock.advance(4_999);
    expect(outbox.position('sample').head).toBe(0);
    await clock.advance(1);
    expect(outbox.position('sample').head).toBe(1);
    for (let n = 2; n <= 21; n += 1) outbox.appendSample(sample(n));
    await Promise.resolve();
    expect(outbox.position('sample').head).toBe(21);
    outbox.appendSample(sample(22));
    await outbox.appendEvent(event(1));
    expect(drain(outbox, 'sample').map(({ record }) => record)).toEqual(Array.from({ length: 22 }, (_, i) => sample(i + 1)));
  });

  test('grouped: one commit for many stations', async () => {
    const { store, outbox } = open({ commit: { grouped_ms: 20 } });
    const others = [2, 3, 4].map((n) => store.outbox(stationCode('370102001', 'W', n), () => stampAt(0)));
    const before = store.counters().commits;
    const appended = Promise.all([outbox, ...others].map((box) => box.appendEvent(event(1))));
    outbox.appendSample(sample(1));
    await clock.advance(20);
    expect(await appended).toEqual(Array.from({ length: 4 }, () => ({ seq: 2 })));
    expect(store.counters().commits).toBe(before + 1);
    expect(outbox.position('sample').head).toBe(1);
  });

  test('records made before the clock was set travel with the offset of their boot', async () => {
    const { store, outbox } = open();
    const unset: EventRecord = { ...event(7), clock: 'unknown', boot: '00000b07' };
    await outbox.appendEvent(unset);
    expect(outbox.read('event', 1, ALL)?.message).not.toHaveProperty('offsets');
    store.setOffset('00000b07', 1_780_000_000_000.4);
    expect(outbox.read('event', 1, ALL)?.message.offsets).toEqual({ '00000b07': 1_780_000_000_000 });
    store.close();
    expect(open().outbox.read('event', 1, ALL)?.message).toMatchObject({ offsets: { '00000b07': 1_780_000_000_000 }, records: [unset] });
  });
});

describe('acknowledgement', () => {
  test('trims, survives a restart, and numbers are never used twice', async () => {
    const first = open();
    await appendEvents(first.outbox, 1, 5);
    const { epoch } = first.outbox.position('event');
    first.outbox.acknowledge({ stream: 'event', epoch, through: 6 });
    expect(first.outbox.position('event')).toEqual({ epoch, acked: 6, head: 6 });
    expect(first.outbox.read('event', 0, ALL)).toBeNull();
    first.store.close();
    const second = open();
    expect(second.outbox.position('event')).toEqual({ epoch, acked: 6, head: 6 });
    expect(await second.outbox.appendEvent(event(6))).toEqual({ seq: 7 });
    expect(drain(second.outbox, 'event').map(({ record }) => record)).toEqual([event(6)]);
  });

  test('of another epoch, or an older one, changes nothing', async () => {
    const { outbox } = open();
    await appendEvents(outbox, 1, 5);
    const { epoch } = outbox.position('event');
    outbox.acknowledge({ stream: 'event', epoch, through: 4 });
    outbox.acknowledge({ stream: 'event', epoch, through: 2 });
    outbox.acknowledge({ stream: 'event', epoch: '0123456789ab', through: 900 });
    expect(outbox.position('event')).toEqual({ epoch, acked: 4, head: 6 });
  });

  test.each([
    { problem: 'fork' as const, beyond: 0 },
    { problem: undefined, beyond: 1 },
  ])('of another history begins a new epoch with what is left ($problem)', async ({ problem, beyond }) => {
    const { store, outbox } = open();
    await appendEvents(outbox, 1, 4);
    for (let n = 1; n <= 3; n += 1) outbox.appendSample(sample(n));
    await outbox.flush();
    const { epoch, head } = outbox.position('event');
    outbox.acknowledge({ stream: 'event', epoch, through: 3 });
    outbox.acknowledge({ stream: 'sample', epoch: outbox.position('sample').epoch, through: 1 });
    outbox.acknowledge({ stream: 'event', epoch, through: head + beyond, ...(problem ? { problem } : {}) });
    const renewed = outbox.position('event');
    expect(renewed).toMatchObject({ acked: 0, head: 3 });
    expect(renewed.epoch).not.toBe(epoch);
    expect(outbox.position('sample')).toEqual({ epoch: renewed.epoch, acked: 0, head: 2 });
    const check = (box: Outbox) => {
      expect(drain(box, 'event').map(({ record }) => record)).toEqual([
        expect.objectContaining({ kind: 'epoch', reason: 'forked', previous_epoch: epoch }),
        event(3),
        event(4),
      ]);
      expect(drain(box, 'sample').map(({ record }) => record)).toEqual([sample(2), sample(3)]);
    };
    check(outbox);
    store.close();
    check(open().outbox);
  });

  test('a sample stream beyond its head begins anew alone', async () => {
    const { outbox } = open();
    outbox.appendSample(sample(1));
    await outbox.flush();
    const { epoch } = outbox.position('event');
    outbox.acknowledge({ stream: 'sample', epoch, through: 9 });
    expect(outbox.position('event').epoch).toBe(epoch);
    expect(outbox.position('sample')).toMatchObject({ acked: 0, head: 1 });
    expect(outbox.position('sample').epoch).not.toBe(epoch);
  });
});

describe('disk', () => {
  const BUDGET = 512 * 1024;

  async function overfill(outbox: Outbox, count: number) {
    for (let n = 1; n <= count; n += 1) {
      outbox.appendSample(sample(n));
      if (n % 20 === 0) await outbox.flush();
    }
    await outbox.flush();
  }

  test('beyond the budget the oldest samples are thinned, then dropped, and every number is accounted for', async () => {
    const budget = BUDGET / 4;
    const { store, outbox } = open({ disk_budget_bytes: budget });
    await overfill(outbox, 2_000);
    expect(store.usedBytes()).toBeLessThanOrEqual(budget);
    expect(store.counters().samples_thinned).toBeGreaterThan(500);
    expect(store.counters().samples_dropped).toBe(0);
    await overfill(outbox, 60_000);
    expect(store.usedBytes()).toBeLessThanOrEqual(budget);
    const records = drain(outbox, 'sample').map(({ record }) => record);
    expect(records[0]).toMatchObject({ kind: 'gap', reason: 'diskBudget', from_at: sample(64).at });
    expect(records.filter(({ kind }) => kind === 'gap')).toHaveLength(1);
    expect(records.slice(1, 50).every((record) => spanOf(record as SampleRecord) > 1)).toBe(true);
    expect(records.at(-1)).toEqual(sample(60_000));
    expect(store.counters().samples_dropped).toBeGreaterThan(500);
  });

  test('a thinned record is cut to what is asked for', async () => {
    const { outbox } = open({ disk_budget_bytes: BUDGET });
    await overfill(outbox, 5_000);
    const thinned = drain(outbox, 'sample').find(({ record }) => spanOf(record as SampleRecord) > 3);
    const { seq, record } = thinned ?? { seq: 0, record: sample(0) };
    const { epoch } = outbox.position('sample');
    outbox.acknowledge({ stream: 'sample', epoch, through: seq });
    await outbox.flush();
    const [cut] = drain(outbox, 'sample');
    expect(cut).toEqual({ seq: seq + 1, record: { ...record, span: spanOf(record as SampleRecord) - 1 } });
    outbox.acknowledge({ stream: 'sample', epoch, through: 5_000 });
    await outbox.flush();
    expect(outbox.position('sample')).toMatchObject({ acked: 5_000, head: 5_000 });
  });

  test('events are never dropped: a full disk refuses them, and an acknowledgement makes room', async () => {
    const { outbox } = open({ disk_budget_bytes: BUDGET });
    let stored = 1;
    const fill = async () => {
      for (;;) {
        await outbox.appendEvent(event(stored));
        stored += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'OUTBOX_FULL' });
    expect(stored).toBeGreaterThan(1_000);
    for (let n = 0; n < 600; n += 1) outbox.appendSample(sample(n)); // memory holds 256
    await expect(outbox.flush()).rejects.toMatchObject({ code: 'OUTBOX_FULL' });
    const { epoch, head } = outbox.position('event');
    expect(head).toBe(stored);
    expect(drain(outbox, 'event')).toHaveLength(stored);
    outbox.acknowledge({ stream: 'event', epoch, through: head });
    expect(await outbox.appendEvent(event(0))).toEqual({ seq: head + 1 });
    const kept = drain(outbox, 'sample');
    expect(kept[0]?.record).toMatchObject({ kind: 'gap', reason: 'diskBudget', span: 344 });
    expect(kept).toHaveLength(257);
  });

  test('the station with the most samples gives way first', async () => {
    const { store, outbox } = open({ disk_budget_bytes: BUDGET });
    const quiet = store.outbox(stationCode('370102001', 'M', 2), () => stampAt(0));
    await overfill(quiet, 40);
    await overfill(outbox, 5_000);
    expect(drain(quiet, 'sample')).toHaveLength(40);
  });
});

describe('damage', () => {
  const path = () => join(dir, 'outbox.db');
  const asides = () => readdirSync(dir).filter((name) => /corrupt-\d+$/.test(name));

  function scribble(offset: number, bytes: number) {
    const file = openSync(path(), 'r+');
    writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, offset);
    closeSync(file);
  }

  test('a file that is no database is set aside and the station starts', async () => {
    writeFileSync(path(), 'power was cut here '.repeat(500));
    const { store, outbox } = open();
    expect(asides()).toHaveLength(1);
    expect(store.counters().files_set_aside).toBe(1);
    expect(outbox.read('event', 0, ALL)?.message.records[0]).toMatchObject({ kind: 'epoch', reason: 'corrupt' });
    expect(await outbox.appendEvent(event(1))).toEqual({ seq: 2 });
  });

  test('what is sound in a damaged file moves on into the new epoch', async () => {
    const first = open();
    await appendEvents(first.outbox, 1, 200);
    for (let n = 1; n <= 400; n += 1) first.outbox.appendSample(sample(n));
    first.store.table('executed', { rows: 10 }).put('command-1', 'succeeded');
    await first.outbox.flush();
    const { epoch } = first.outbox.position('event');
    first.outbox.acknowledge({ stream: 'event', epoch, through: 51 });
    first.store.close();
    scribble(Math.floor((statSync(path()).size * 0.7) / 1024) * 1024, 4 * 1024);
    const { store, outbox } = open();
    expect(asides()).toHaveLength(1);
    const events = drain(outbox, 'event').map(({ record }) => record);
    expect(events[0]).toMatchObject({ kind: 'epoch', reason: 'corrupt', previous_epoch: epoch });
    expect(events.slice(1, 51)).toEqual(Array.from({ length: 50 }, (_, i) => event(51 + i)));
    const samples = drain(outbox, 'sample').map(({ record }) => record);
    expect(samples[0]).toEqual(sample(1));
    expect(samples.some((record) => record.kind === 'gap' && record.reason === 'corrupt')).toBe(true);
    expect(outbox.position('sample').head).toBe(400);
    expect(store.table('executed', { rows: 10 }).get('command-1')).toBe('succeeded');
  });

  test('a flipped bit inside a record is found before it is sent', async () => {
    const first = open();
    await appendEvents(first.outbox, 1, 20);
    first.store.close();
    const bytes = readFileSync(path());
    const at = bytes.indexOf('event 13');
    expect(at).toBeGreaterThan(0);
    bytes.write('event 99', at);
    writeFileSync(path(), bytes);
    const { outbox } = open();
    const heard: Stream[] = [];
    outbox.onAppend((stream) => heard.push(stream));
    expect(outbox.read('event', 5, ALL)?.message.epoch).not.toBe(undefined);
    const records = drain(outbox, 'event').map(({ record }) => record);
    expect(records[0]).toMatchObject({ kind: 'epoch', reason: 'corrupt' });
    expect(records).not.toContainEqual(event(99));
    expect(records).not.toContainEqual(event(13));
    expect(records.slice(-7)).toEqual([14, 15, 16, 17, 18, 19, 20].map(event));
    await Promise.resolve();
    expect(heard).toContain('event');
  });

  test('a second process is kept out', () => {
    open();
    expect(() => openOutboxStore({ path: path(), clock, random: prng(2), commit: 'immediate', disk_budget_bytes: 1e6, log: silentLog })).toThrow(
      expect.objectContaining({ code: 'DATABASE_LOCKED' }),
    );
  });
});

describe('durable table', () => {
  test('remembers, costs no commit of its own beside an event, and is bounded', async () => {
    const first = open();
    const table = first.store.table('nonces', { rows: 3 });
    const before = first.store.counters().commits;
    table.put('a', '1');
    expect(table.get('a')).toBe('1');
    await first.outbox.appendEvent(event(1));
    expect(first.store.counters().commits).toBe(before + 1);
    for (const key of ['b', 'c', 'a', 'd']) table.put(key, '2');
    table.delete('c');
    table.put('e', '3', epochMs(clock.wall() + 1_000));
    await first.store.flush();
    expect(table.entries()).toEqual([['a', '2'], ['d', '2'], ['e', '3']]);
    first.store.close();
    const again = open().store.table('nonces', { rows: 3 });
    expect(again.get('b')).toBeNull();
    expect(again.get('e')).toBe('3');
    await clock.advance(1_000);
    expect(again.get('e')).toBeNull();
    expect(again.entries()).toEqual([['a', '2'], ['d', '2']]);
  });
});
