import { afterEach, beforeEach, expect, test } from 'vitest';
import { DatabaseSync } from 'node:sqlite';
import type { Command } from '@waystation/protocol/commands';
import type { EventRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import type { Ack, OutgoingMessage, StationPresence } from '@waystation/protocol/uplink';
import { fakeClock, type FakeClock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { outboxFileOn } from '../outbox/outbox-file.ts';
import { outboxStoreOn } from '../outbox/outbox-store.ts';
import type { Outbox, UplinkSession, UplinkTransport } from '../ports.ts';
import { ACK_PATIENCE_MAX_MS, ACK_PATIENCE_MS } from './session.ts';
import { startUplink, type Uplink } from './uplink.ts';

const event = (n: number): EventRecord => ({
  kind: 'mode',
  at: n,
  mono: n,
  boot: 'abcdef01',
  clock: 'synced',
  mode: 'normal',
  cause: `event ${n}`,
});

/** A gateway made of lists. */
class FakeTransport implements UplinkTransport {
  births: StationPresence[] = [];
  sent: { stream: string; message: OutgoingMessage }[] = [];
  refuse: Fault | null = null;
  ended = 0;
  ack: (ack: Ack) => void = () => {};
  command: (command: Command) => Promise<void> = () => Promise.resolve();
  close: (reason: string) => void = () => {};

  connect(birth: StationPresence): Promise<UplinkSession> {
    this.births.push(birth);
    if (this.refuse) return Promise.reject(this.refuse);
    return Promise.resolve({
      send: (stream, message) => void this.sent.push({ stream, message }),
      onAck: (listener) => void (this.ack = listener),
      onCommand: (listener) => void (this.command = listener),
      onClosed: (listener) => void (this.close = listener),
      end: () => {
        this.ended += 1;
        return Promise.resolve();
      },
    });
  }
}

let clock: FakeClock;
let outbox: Outbox;
let transport: FakeTransport;
let uplink: Uplink;
let lives: number;
let commands: Command[];

beforeEach(async () => {
  clock = fakeClock();
  transport = new FakeTransport();
  lives = 0;
  commands = [];
  const store = outboxStoreOn(outboxFileOn(new DatabaseSync(':memory:')), {
    clock,
    random: prng(1),
    commit: 'immediate',
    disk_budget_bytes: 1e7,
    log: silentLog,
  });
  const stamp = () => ({ at: 0, mono: 0, boot: 'abcdef01', clock: 'synced' as const });
  outbox = store.outbox(stationCode('370102001', 'W', 1), stamp);
  uplink = startUplink({
    outbox,
    transport,
    clock,
    random: prng(2),
    log: silentLog,
    about: () => ({ software: 'test', key_set_version: 3, status_list_version: 4 }),
    onCommand: async (command) => void commands.push(command),
    onLive: () => (lives += 1),
  });
  await clock.advance(0);
});
afterEach(() => uplink.stop());

const acknowledge = (through: number, problem?: Ack['problem']) =>
  transport.ack({
    stream: 'event',
    epoch: outbox.position('event').epoch,
    through,
    ...(problem ? { problem } : {}),
  });

test('sends what is there, then what comes, and trims on the answer alone', async () => {
  expect(transport.births).toEqual([
    {
      state: 'online',
      session: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      at: clock.wall(),
      software: 'test',
      key_set_version: 3,
      status_list_version: 4,
    },
  ]);
  expect(lives).toBe(1);
  await outbox.appendEvent(event(1));
  expect(transport.sent.map(({ message }) => [message.first, message.records.length])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  await clock.advance(ACK_PATIENCE_MS - 1);
  expect(outbox.position('event').acked).toBe(0);
  acknowledge(2);
  expect(outbox.position('event').acked).toBe(2);
  expect(uplink.counters()).toEqual({
    sessions: 1,
    failed_connects: 0,
    messages_sent: 2,
    records_sent: 2,
    acks: 1,
  });
});

test('samples wait for the first answer to an event of the session', async () => {
  outbox.appendSample({
    kind: 'report',
    at: 1,
    mono: 1,
    boot: 'abcdef01',
    clock: 'synced',
    values: { co2_ppm: 500 },
  });
  await outbox.flush();
  expect(transport.sent.map(({ stream }) => stream)).toEqual(['event']);
  acknowledge(1);
  expect(transport.sent.map(({ stream }) => stream)).toEqual(['event', 'sample']);
});

test('a late answer brings the same records again, once', async () => {
  await outbox.appendEvent(event(1));
  await clock.advance(ACK_PATIENCE_MS - 1);
  expect(transport.sent).toHaveLength(2);
  await clock.advance(1);
  expect(transport.sent[2]?.message).toMatchObject({ first: 1, records: { length: 2 } });
  await clock.advance(2 * ACK_PATIENCE_MS - 1);
  expect(transport.sent).toHaveLength(3);
});

test('a fork brings everything again under a new epoch', async () => {
  await outbox.appendEvent(event(1));
  const before = outbox.position('event').epoch;
  acknowledge(1);
  acknowledge(1, 'fork');
  const message = transport.sent.at(-1)?.message;
  expect(message?.epoch).not.toBe(before);
  expect(message).toMatchObject({
    first: 1,
    records: [{ kind: 'epoch', previous_epoch: before }, event(1)],
  });
});

test('a closed session is followed by a new one, a refused one by a longer wait', async () => {
  transport.refuse = new Fault('UPLINK_REFUSED', {});
  transport.close('cable');
  expect(uplink.live).toBe(false);
  await clock.advance(500 + 1_000 + 2_000);
  expect(transport.births.length).toBeGreaterThanOrEqual(3);
  transport.refuse = null;
  await clock.advance(10_000);
  expect(uplink.live).toBe(true);
  expect(lives).toBe(2);
  expect(new Set(transport.births.map(({ session }) => session)).size).toBe(
    transport.births.length,
  );
});

test('a cloud that has less than it acknowledged is answered with a new epoch, not with silence', async () => {
  for (let n = 1; n <= 9; n += 1) await outbox.appendEvent(event(n));
  for (let through = 1; through <= 10; through += 1) acknowledge(through);
  const before = outbox.position('event').epoch;
  await outbox.appendEvent(event(10));
  for (let n = 0; n < 4; n += 1) {
    transport.ack({ stream: 'event', epoch: before, through: 5, problem: 'gap' });
    await clock.advance(4 * ACK_PATIENCE_MAX_MS);
  }
  expect(outbox.position('event').epoch).not.toBe(before);
  expect(transport.sent.at(-1)?.message).toMatchObject({
    first: 1,
    records: [{ kind: 'epoch' }, event(10)],
  });
});

test('commands reach the listener; stopping says goodbye', async () => {
  const command: Command = { kind: 'statusList', version: 7, body: 'AAAA' };
  await transport.command(command);
  expect(commands).toEqual([command]);
  await uplink.stop();
  expect(transport.ended).toBe(1);
  await outbox.appendEvent(event(1));
  await clock.advance(100_000);
  expect(transport.births).toHaveLength(1);
});
