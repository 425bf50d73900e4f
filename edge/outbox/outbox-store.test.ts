/** What an outbox promises: order, numbers, chain, trimming, epochs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { epochMs } from '@waystation/runtime/clock';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import type { Outbox } from '../ports.ts';
import {
  ALL,
  appendEvents,
  drain,
  event,
  OutboxFixture,
  sample,
  stampAt,
  STATION,
} from './outbox-fixture.ts';

let fixture: OutboxFixture;
beforeEach(() => {
  fixture = new OutboxFixture();
});
afterEach(() => fixture.remove());

describe('two streams', () => {
  test('begin with an epoch record, number without a gap, chain', async () => {
    const { outbox } = fixture.open();
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
    const hash = [0, 1].reduce(
      (h, i) => chainNext(h, JSON.stringify(records[i])),
      chainStart(STATION, epoch),
    );
    expect(outbox.read('event', 2, ALL)).toEqual({
      last: 3,
      message: { epoch, first: 3, previous_hash: hash, records: [event(2)] },
    });
    expect(outbox.read('event', 3, ALL)).toBeNull();
    expect(outbox.read('sample', 0, ALL)).toBeNull();
  });

  test('a message keeps within its limits and holds at least one record', async () => {
    const { outbox } = fixture.open();
    await appendEvents(outbox, 1, 30);
    expect(outbox.read('event', 0, { records: 7, bytes: 1e6 })?.last).toBe(7);
    expect(outbox.read('event', 0, { records: 256, bytes: 1 })?.last).toBe(1);
    const read = outbox.read('event', 0, { records: 256, bytes: 2_000 });
    expect(JSON.stringify(read?.message.records).length).toBeLessThanOrEqual(2_000);
    expect(drain(outbox, 'event', 0, { records: 5, bytes: 700 })).toHaveLength(31);
  });

  test('events of one turn share one commit and are told after it', async () => {
    const { store, outbox } = fixture.open();
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
    const { outbox } = fixture.open();
    await outbox.appendEvent(event(0));
    outbox.appendSample(sample(1));
    await fixture.clock.advance(4_999);
    expect(outbox.position('sample').head).toBe(0);
    await fixture.clock.advance(1);
    expect(outbox.position('sample').head).toBe(1);
    for (let n = 2; n <= 21; n += 1) outbox.appendSample(sample(n));
    await Promise.resolve();
    expect(outbox.position('sample').head).toBe(21);
    outbox.appendSample(sample(22));
    await outbox.appendEvent(event(1));
    expect(drain(outbox, 'sample').map(({ record }) => record)).toEqual(
      Array.from({ length: 22 }, (_, i) => sample(i + 1)),
    );
  });

  test('a sample after a quiet time is durable at once, and the one behind it waits', async () => {
    const { store, outbox } = fixture.open();
    await outbox.appendEvent(event(0));
    await fixture.clock.advance(5_000);
    const before = store.counters().commits;
    outbox.appendSample(sample(1));
    await Promise.resolve();
    expect(outbox.position('sample').head).toBe(1);
    outbox.appendSample(sample(2));
    await fixture.clock.advance(4_999);
    expect(outbox.position('sample').head).toBe(1);
    await fixture.clock.advance(1);
    expect(outbox.position('sample').head).toBe(2);
    expect(store.counters().commits).toBe(before + 2);
  });

  test('grouped: one commit for many stations', async () => {
    const { store, outbox } = fixture.open({ commit: { grouped_ms: 20 } });
    const others = [2, 3, 4].map((n) =>
      store.outbox(stationCode('370102001', 'W', n), () => stampAt(0)),
    );
    const before = store.counters().commits;
    const appended = Promise.all([outbox, ...others].map((box) => box.appendEvent(event(1))));
    outbox.appendSample(sample(1));
    await fixture.clock.advance(20);
    expect(await appended).toEqual(Array.from({ length: 4 }, () => ({ seq: 2 })));
    expect(store.counters().commits).toBe(before + 1);
    expect(outbox.position('sample').head).toBe(1);
  });

  test('records made before the clock was set travel with the offset of their boot', async () => {
    const { store, outbox } = fixture.open();
    const unset: EventRecord = { ...event(7), clock: 'unknown', boot: '00000b07' };
    await outbox.appendEvent(unset);
    expect(outbox.read('event', 1, ALL)?.message).not.toHaveProperty('offsets');
    store.setOffset('00000b07', 1_780_000_000_000.4);
    expect(outbox.read('event', 1, ALL)?.message.offsets).toEqual({
      '00000b07': 1_780_000_000_000,
    });
    store.close();
    expect(fixture.open().outbox.read('event', 1, ALL)?.message).toMatchObject({
      offsets: { '00000b07': 1_780_000_000_000 },
      records: [unset],
    });
  });

  test('a record keeps the time it was once sent under, although the clock is set anew', async () => {
    const { store, outbox } = fixture.open();
    store.setOffset('00000b07', 1_780_000_000_000);
    await outbox.appendEvent({ ...event(7), clock: 'unknown', boot: '00000b07' });
    const sent = outbox.read('event', 1, ALL)?.message;
    store.setOffset('00000b07', 1_780_000_090_000);
    expect(outbox.read('event', 1, ALL)?.message).toEqual(sent);
    store.close();
    const again = fixture.open();
    again.store.setOffset('00000b07', 1_780_000_090_000);
    expect(again.outbox.read('event', 1, ALL)?.message).toEqual(sent);
  });
});

describe('acknowledgement', () => {
  test('trims, survives a restart, and numbers are never used twice', async () => {
    const first = fixture.open();
    await appendEvents(first.outbox, 1, 5);
    const { epoch } = first.outbox.position('event');
    first.outbox.acknowledge({ stream: 'event', epoch, through: 6 });
    expect(first.outbox.position('event')).toEqual({ epoch, acked: 6, head: 6 });
    expect(first.outbox.read('event', 0, ALL)).toBeNull();
    first.store.close();
    const second = fixture.open();
    expect(second.outbox.position('event')).toEqual({ epoch, acked: 6, head: 6 });
    expect(await second.outbox.appendEvent(event(6))).toEqual({ seq: 7 });
    expect(drain(second.outbox, 'event').map(({ record }) => record)).toEqual([event(6)]);
  });

  test('of another epoch, or an older one, changes nothing', async () => {
    const { outbox } = fixture.open();
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
  ])(
    'of another history begins a new epoch with what is left ($problem)',
    async ({ problem, beyond }) => {
      const { store, outbox } = fixture.open();
      await appendEvents(outbox, 1, 4);
      for (let n = 1; n <= 3; n += 1) outbox.appendSample(sample(n));
      await outbox.flush();
      const { epoch, head } = outbox.position('event');
      outbox.acknowledge({ stream: 'event', epoch, through: 3 });
      outbox.acknowledge({ stream: 'sample', epoch: outbox.position('sample').epoch, through: 1 });
      outbox.acknowledge({
        stream: 'event',
        epoch,
        through: head + beyond,
        ...(problem ? { problem } : {}),
      });
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
      check(fixture.open().outbox);
    },
  );

  test('a sample stream beyond its head begins anew alone', async () => {
    const { outbox } = fixture.open();
    outbox.appendSample(sample(1));
    await outbox.flush();
    const { epoch } = outbox.position('event');
    outbox.acknowledge({ stream: 'sample', epoch, through: 9 });
    expect(outbox.position('event').epoch).toBe(epoch);
    expect(outbox.position('sample')).toMatchObject({ acked: 0, head: 1 });
    expect(outbox.position('sample').epoch).not.toBe(epoch);
  });
});

describe('durable table', () => {
  test('remembers, costs no commit of its own beside an event, and is bounded', async () => {
    const first = fixture.open();
    const table = first.store.table('nonces', { rows: 3 });
    const before = first.store.counters().commits;
    table.put('a', '1');
    expect(table.get('a')).toBe('1');
    await first.outbox.appendEvent(event(1));
    expect(first.store.counters().commits).toBe(before + 1);
    for (const key of ['b', 'c', 'a', 'd']) table.put(key, '2');
    table.delete('c');
    table.put('e', '3', epochMs(fixture.clock.wall() + 1_000));
    await first.store.flush();
    expect(table.entries()).toEqual([
      ['a', '2'],
      ['d', '2'],
      ['e', '3'],
    ]);
    first.store.close();
    const again = fixture.open().store.table('nonces', { rows: 3 });
    expect(again.get('b')).toBeNull();
    expect(again.get('e')).toBe('3');
    await fixture.clock.advance(1_000);
    expect(again.get('e')).toBeNull();
    expect(again.entries()).toEqual([
      ['a', '2'],
      ['d', '2'],
    ]);
  });
});
