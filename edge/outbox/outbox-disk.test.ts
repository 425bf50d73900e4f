/** What an outbox does when the disk is full or damaged. */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { spanOf, type SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import type { Outbox } from '../ports.ts';
import {
  ALL,
  appendEvents,
  drain,
  event,
  OutboxFixture,
  sample,
  stampAt,
} from './outbox-fixture.ts';
import { openOutboxStore } from './outbox-store.ts';

let fixture: OutboxFixture;
beforeEach(() => {
  fixture = new OutboxFixture();
});
afterEach(() => fixture.remove());

describe('disk', () => {
  const BUDGET = 512 * 1024;

  async function overfill(outbox: Outbox, count: number) {
    for (let n = 1; n <= count; n += 1) {
      outbox.appendSample(sample(n));
      if (n % 100 === 0) await outbox.flush();
    }
    await outbox.flush();
  }

  test('beyond the budget the oldest samples are thinned, then dropped, and every number is accounted for', async () => {
    const budget = BUDGET / 4;
    const { store, outbox } = fixture.open({
      disk_budget_bytes: budget,
      sample_group: { records: 1_000, after_ms: 5_000 },
    });
    await overfill(outbox, 2_000);
    expect(store.usedBytes()).toBeLessThanOrEqual(budget);
    expect(store.counters().samples_thinned).toBeGreaterThan(500);
    expect(store.counters().samples_dropped).toBe(0);
    await overfill(outbox, 40_000);
    expect(store.usedBytes()).toBeLessThanOrEqual(budget);
    const records = drain(outbox, 'sample').map(({ record }) => record);
    expect(records[0]).toMatchObject({ kind: 'gap', reason: 'diskBudget', from_at: sample(64).at });
    expect(records.filter(({ kind }) => kind === 'gap')).toHaveLength(1);
    expect(records.slice(1, 50).every((record) => spanOf(record as SampleRecord) > 1)).toBe(true);
    expect(records.at(-1)).toEqual(sample(40_000));
    expect(store.counters().samples_dropped).toBeGreaterThan(300);
  });

  test('a thinned record is cut to what is asked for', async () => {
    const { outbox } = fixture.open({ disk_budget_bytes: BUDGET });
    await overfill(outbox, 5_000);
    const thinned = drain(outbox, 'sample').find(
      ({ record }) => spanOf(record as SampleRecord) > 3,
    );
    const { seq, record } = thinned ?? { seq: 0, record: sample(0) };
    const { epoch } = outbox.position('sample');
    outbox.acknowledge({ stream: 'sample', epoch, through: seq });
    await outbox.flush();
    const [cut] = drain(outbox, 'sample');
    expect(cut).toEqual({
      seq: seq + 1,
      record: { ...record, span: spanOf(record as SampleRecord) - 1 },
    });
    outbox.acknowledge({ stream: 'sample', epoch, through: 5_000 });
    await outbox.flush();
    expect(outbox.position('sample')).toMatchObject({ acked: 5_000, head: 5_000 });
  });

  test('events are never dropped: a full disk refuses them, and an acknowledgement makes room', async () => {
    const { outbox } = fixture.open({ disk_budget_bytes: BUDGET });
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
    const { store, outbox } = fixture.open({ disk_budget_bytes: BUDGET });
    const quiet = store.outbox(stationCode('370102001', 'M', 2), () => stampAt(0));
    await overfill(quiet, 40);
    await overfill(outbox, 5_000);
    expect(drain(quiet, 'sample')).toHaveLength(40);
  });
});

describe('damage', () => {
  const asides = () => readdirSync(fixture.dir).filter((name) => /corrupt-\d+$/.test(name));

  function scribble(offset: number, bytes: number) {
    const file = openSync(fixture.path, 'r+');
    writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, offset);
    closeSync(file);
  }

  test('a file that is no database is set aside and the station starts', async () => {
    writeFileSync(fixture.path, 'power was cut here '.repeat(500));
    const { store, outbox } = fixture.open();
    expect(asides()).toHaveLength(1);
    expect(store.counters().files_set_aside).toBe(1);
    expect(outbox.read('event', 0, ALL)?.message.records[0]).toMatchObject({
      kind: 'epoch',
      reason: 'corrupt',
    });
    expect(await outbox.appendEvent(event(1))).toEqual({ seq: 2 });
  });

  test('flash that keeps failing does not fill itself: only the newest files stay aside', async () => {
    const seen: string[] = [];
    for (let round = 0; round < 7; round += 1) {
      writeFileSync(fixture.path, `damage number ${round} `.repeat(500));
      const { store } = fixture.open();
      seen.push(...asides().filter((name) => !seen.includes(name)));
      store.close();
      await fixture.clock.advance(1_000);
    }
    expect(seen).toHaveLength(7);
    expect(asides().toSorted()).toEqual(seen.slice(-4).toSorted());
  });

  test('what is sound in a damaged file moves on into the new epoch', async () => {
    const first = fixture.open();
    await appendEvents(first.outbox, 1, 200);
    for (let n = 1; n <= 400; n += 1) first.outbox.appendSample(sample(n));
    first.store.table('executed', { rows: 10 }).put('command-1', 'succeeded');
    await first.outbox.flush();
    const { epoch } = first.outbox.position('event');
    first.outbox.acknowledge({ stream: 'event', epoch, through: 51 });
    first.store.close();
    scribble(Math.floor((statSync(fixture.path).size * 0.7) / 1024) * 1024, 4 * 1024);
    const { store, outbox } = fixture.open();
    expect(asides()).toHaveLength(1);
    const events = drain(outbox, 'event').map(({ record }) => record);
    expect(events[0]).toMatchObject({ kind: 'epoch', reason: 'corrupt', previous_epoch: epoch });
    const first_record = events[0];
    // 201 with the epoch's own, 51 acknowledged: every one of the others is there or counted.
    const lost = first_record?.kind === 'epoch' ? (first_record.events_lost ?? 0) : 0;
    expect(events.length - 1 + lost).toBe(201 - 51);
    expect(events.slice(1, 51)).toEqual(Array.from({ length: 50 }, (_, i) => event(51 + i)));
    const samples = drain(outbox, 'sample').map(({ record }) => record);
    expect(samples[0]).toEqual(sample(1));
    expect(samples.some((record) => record.kind === 'gap' && record.reason === 'corrupt')).toBe(
      true,
    );
    expect(outbox.position('sample').head).toBe(400);
    expect(store.table('executed', { rows: 10 }).get('command-1')).toBe('succeeded');
  });

  test('a flipped bit inside a record is found before it is sent', async () => {
    const first = fixture.open();
    await appendEvents(first.outbox, 1, 20);
    first.store.close();
    const bytes = readFileSync(fixture.path);
    const at = bytes.indexOf('event 13');
    expect(at).toBeGreaterThan(0);
    bytes.write('event 99', at);
    writeFileSync(fixture.path, bytes);
    const { outbox } = fixture.open();
    const heard: Stream[] = [];
    outbox.onAppend((stream) => heard.push(stream));
    expect(outbox.read('event', 5, ALL)?.message.epoch).not.toBe(undefined);
    const records = drain(outbox, 'event').map(({ record }) => record);
    expect(records[0]).toMatchObject({ kind: 'epoch', reason: 'corrupt', events_lost: 1 });
    expect(records).not.toContainEqual(event(99));
    expect(records).not.toContainEqual(event(13));
    expect(records.slice(-7)).toEqual([14, 15, 16, 17, 18, 19, 20].map(event));
    await Promise.resolve();
    expect(heard).toContain('event');
  });

  test('a second process is kept out', () => {
    fixture.open();
    expect(() =>
      openOutboxStore({
        path: fixture.path,
        clock: fixture.clock,
        random: prng(2),
        commit: 'immediate',
        disk_budget_bytes: 1e6,
        log: silentLog,
      }),
    ).toThrow(expect.objectContaining({ code: 'DATABASE_LOCKED' }));
  });
});
