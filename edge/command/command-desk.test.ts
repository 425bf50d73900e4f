import type { Command, Order } from '@waystation/protocol/commands';
import { EventRecord } from '@waystation/protocol/records';
import { Fault } from '@waystation/runtime/fault';
import { describe, expect, test } from 'vitest';
import { type FakeStation, fakeStation, noTrust } from '../fake-parts.ts';
import { JOURNAL_ROWS_MAX } from './command-journal.ts';

const order = (station: FakeStation, change: Partial<Order> = {}): Order =>
  ({
    kind: 'open',
    id: 'order-0001',
    nonce: '0123456789abcdef',
    issued_at: station.clock.wall(),
    deadline_at: station.clock.wall() + 10_000,
    min_clock: 'synced',
    actor: 'officer',
    reason: 'phone is dead',
    ...change,
  }) as Order;

async function give(station: FakeStation, ...commands: Command[]): Promise<string[]> {
  station.diary.length = 0;
  const done = Promise.all(commands.map((command) => station.agent.desk.accept(command)));
  await station.clock.advance(500);
  await done;
  for (const event of station.outbox.events) EventRecord.parse(event);
  return station.diary.filter((line) => /command|coil|access|mode|trust/.test(line));
}

describe('commands', () => {
  test('an opening: received is on the disk before the lock moves, succeeded after it', async () => {
    const station = await fakeStation();
    expect(await give(station, order(station))).toEqual([
      'record command order-0001 received',
      'record access remote granted',
      'coil release',
      'record command order-0001 succeeded',
    ]);
    expect(station.outbox.events.find((event) => event.kind === 'access')).toMatchObject({
      command: 'order-0001',
    });
  });

  test('the same order twice, and once more after a restart, opens once', async () => {
    const station = await fakeStation();
    const once = order(station, { deadline_at: station.clock.wall() + 3_600_000 });
    const done = await give(station, once, once);
    expect(done.filter((line) => line === 'coil release')).toHaveLength(1);
    await station.agent.stop();
    const { clock, tables } = station;
    const again = await fakeStation({ clock, tables });
    expect(await give(again, once)).toEqual([]);
    expect(again.agent.desk.counters.repeated).toBe(1);
  });

  test('a late one says expired and does nothing, even when the clock is set back afterwards', async () => {
    const station = await fakeStation();
    const late = order(station);
    await station.clock.advance(20_000);
    expect(await give(station, late)).toEqual(['record command order-0001 expired']);
    station.clock.stepWall(-20_000);
    expect(await give(station, late)).toEqual([]);
  });

  test('a denied opening fails with the reason', async () => {
    const station = await fakeStation();
    await give(
      station,
      order(station, {
        kind: 'setMode',
        mode: 'lockdown',
        id: 'order-0002',
        nonce: 'aaaaaaaaaaaaaaaa',
      }),
    );
    expect(station.agent.door.view().mode).toBe('lockdown');
    expect(await give(station, order(station))).toEqual([
      'record command order-0001 received',
      'record access remote lockdown',
      'record command order-0001 failed (lockdown)',
    ]);
  });

  test('a lock that does not answer makes it fail', async () => {
    const station = await fakeStation();
    station.io.lock = 'silent';
    expect(await give(station, order(station))).toContain(
      'record command order-0001 failed (lockFault)',
    );
  });

  test('one that a crash cut short is told as failed at the next start, and never done', async () => {
    const station = await fakeStation();
    station.io.setLockRelease = () => new Promise(() => undefined);
    void station.agent.desk.accept(order(station));
    await station.clock.advance(500);
    const restarted = await fakeStation({ clock: station.clock, tables: station.tables });
    const told = restarted.outbox.events.filter((event) => event.kind === 'command');
    expect(told).toMatchObject([
      { id: 'order-0001', status: 'failed', reason: 'the station restarted meanwhile' },
    ]);
    expect(await give(restarted, order(restarted))).toEqual([]);
  });

  test('a clock that is not good enough: failed, and not executed later either', async () => {
    const station = await fakeStation();
    station.quality.now = 'holdover';
    expect(await give(station, order(station))).toEqual([
      'record command order-0001 failed (station clock is holdover, synced is required)',
    ]);
    station.quality.now = 'synced';
    expect(await give(station, order(station))).toEqual([]);
  });

  test('while no event can be written nothing is executed', async () => {
    const station = await fakeStation();
    station.outbox.disk = 'full';
    const accepted = station.agent.desk.accept(order(station));
    const outcome = expect(accepted).rejects.toThrow(Fault);
    await station.clock.advance(500);
    await outcome;
    expect(station.diary).not.toContain('coil release');
  });

  test('a full memory of orders refuses new ones instead of forgetting old ones', async () => {
    const station = await fakeStation();
    const row = JSON.stringify({
      nonce: 'x',
      deadline_at: station.clock.wall() + 1,
      result: 'failed',
    });
    for (let n = 0; n < JOURNAL_ROWS_MAX; n += 1) station.tables.orders.put(`old-${n}`, row);
    expect(await give(station, order(station))).toEqual([
      'record command order-0001 failed (journal of commands is full)',
    ]);
  });

  test('more than sixteen waiting are left to the broker', async () => {
    const station = await fakeStation();
    const orders = Array.from({ length: 20 }, (_, n) =>
      order(station, { id: `order-${1000 + n}`, nonce: n.toString(16).padStart(16, '0') }),
    );
    const outcomes = Promise.allSettled(orders.map((one) => station.agent.desk.accept(one)));
    await station.clock.advance(5_000);
    const refused = (await outcomes).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(4);
  });
});

describe('trust', () => {
  const keySet: Command = {
    kind: 'keySet',
    version: 2,
    body: Buffer.from('signed').toString('base64'),
  };

  test('a new key set is told with both versions', async () => {
    const bodies: string[] = [];
    const trust = {
      ...noTrust,
      versions: () => ({ key_set_version: 2, status_list_version: 1 }),
      applyKeySet: (body: Uint8Array) => bodies.push(Buffer.from(body).toString()) > 0,
    };
    const station = await fakeStation({ trust });
    expect(await give(station, keySet)).toEqual(['record trust']);
    expect(bodies).toEqual(['signed']);
  });

  test('an old one changes nothing, a false one is counted', async () => {
    const old = await fakeStation();
    expect(await give(old, keySet)).toEqual([]);
    const trust = {
      ...noTrust,
      applyKeySet: () => {
        throw new Fault('TRUST_INVALID', { problem: 'not signed by a pinned root' });
      },
    };
    const station = await fakeStation({ trust });
    expect(await give(station, keySet)).toEqual([]);
    expect(station.agent.desk.counters.trust_refused).toBe(1);
  });
});
