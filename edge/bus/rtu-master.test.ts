import { describe, expect, test } from 'vitest';
import { Fault } from '@waystation/runtime/fault';
import type { ByteLine } from '../ports.ts';
import { COIL_ON, INPUTS, masterBench, OTHER_UNIT, READ, START_MS } from './master-bench.ts';
import { rtuMaster, type MasterOutcome } from './rtu-master.ts';
import { silentGapMs } from './rtu-frame.ts';
import { LINE_TIMING } from './rtu-transaction.ts';
import { after, changed, honest, sealed, silent, type Behaviour } from './scripted-slave.ts';

const noise = (...bytes: number[]) => Uint8Array.from(bytes);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const flip = (bytes: Uint8Array) =>
  bytes.map((byte, at) => (at === bytes.length - 3 ? byte ^ 0x10 : byte));

describe('faults on the line, and three right answers after each', () => {
  const right = { ok: true, values: [700, 800] } as const;
  const rows: {
    fault: string;
    behaviour: Behaviour;
    outcome: MasterOutcome;
    within_ms: [number, number];
  }[] = [
    {
      fault: 'silent device',
      behaviour: silent,
      outcome: { ok: false, failure: 'timeout' },
      within_ms: [100, 100],
    },
    {
      fault: 'CRC flipped',
      behaviour: changed(flip),
      outcome: { ok: false, failure: 'crc' },
      within_ms: [25, 25],
    },
    {
      fault: '5 junk bytes before the reply',
      behaviour: changed((reply) => join(noise(0, 1, 4, 255, 1), reply)),
      outcome: right,
      within_ms: [5, 5],
    },
    {
      fault: '3 junk bytes after the reply',
      behaviour: changed((reply) => join(reply, noise(1, 4, 9))),
      outcome: right,
      within_ms: [5, 5],
    },
    {
      fault: 'exception 2',
      behaviour: changed(() => sealed(1, 0x84, 2)),
      outcome: { ok: false, failure: 'exception', code: 2 },
      within_ms: [5, 5],
    },
    {
      fault: 'exception 6',
      behaviour: changed(() => sealed(1, 0x84, 6)),
      outcome: { ok: false, failure: 'exception', code: 6 },
      within_ms: [5, 5],
    },
    {
      fault: 'reply split by 20 ms',
      behaviour: (reply) =>
        reply
          ? [
              { after_ms: 5, bytes: reply.subarray(0, 5) },
              { after_ms: 25, bytes: reply.subarray(5) },
            ]
          : [],
      outcome: right,
      within_ms: [25, 25],
    },
    {
      fault: 'truncated reply',
      behaviour: changed((reply) => reply.subarray(0, 6)),
      outcome: { ok: false, failure: 'timeout' },
      within_ms: [100, 100],
    },
    {
      fault: 'another unit answers',
      behaviour: changed(() => sealed(2, 4, 4, 9, 9, 9, 9)),
      outcome: { ok: false, failure: 'timeout' },
      within_ms: [100, 100],
    },
    {
      fault: 'another function answers',
      behaviour: changed(() => sealed(1, 3, 4, 9, 9, 9, 9)),
      outcome: { ok: false, failure: 'timeout' },
      within_ms: [100, 100],
    },
    {
      fault: 'reply of another length',
      behaviour: changed(() => sealed(1, 4, 2, 9, 9)),
      outcome: { ok: false, failure: 'timeout' },
      within_ms: [100, 100],
    },
    {
      fault: 'local echo, not configured',
      behaviour: (reply, request) => [{ after_ms: 0, bytes: request }, ...honest(reply, request)],
      outcome: right,
      within_ms: [5, 5],
    },
  ];
  test.each(rows)('$fault', async ({ behaviour, outcome, within_ms }) => {
    const { slave, ask, threeMore, master } = await masterBench();
    slave.next(behaviour);
    const first = await ask(READ);
    expect(first.outcome).toEqual(outcome);
    expect(first.took_ms).toBeGreaterThanOrEqual(within_ms[0]);
    expect(first.took_ms).toBeLessThanOrEqual(within_ms[1]);
    await threeMore();
    const { requests, replies, exceptions, timeouts, crc_errors, lost } = master.counters();
    expect(requests).toBe(4);
    expect(replies + exceptions + timeouts + crc_errors + lost).toBe(4);
  });

  test('a late reply that lands while the same request is repeated does not answer it', async () => {
    const { clock, slave, master } = await masterBench();
    slave.next(() => [{ after_ms: 101, bytes: sealed(1, 4, 4, 0, 1, 0, 2) }]); // 1 ms after the timeout
    const answers: MasterOutcome[] = [];
    for (let count = 0; count < 4; count += 1) {
      void master.request(READ).then((outcome) => answers.push(outcome));
    }
    await clock.advance(1000);
    expect(answers).toEqual([{ ok: false, failure: 'timeout' }, right, right, right]);
    expect(master.counters().discarded_bytes).toBe(9);
  });

  test('a late reply during another request is noise to it, and that request does not wait', async () => {
    const { clock, slave, master } = await masterBench();
    slave.next(() => [{ after_ms: 102, bytes: sealed(1, 4, 4, 0, 1, 0, 2) }]);
    const times: number[] = [];
    const answers: MasterOutcome[] = [];
    for (const request of [READ, INPUTS]) {
      void master.request(request).then((outcome) => {
        answers.push(outcome);
        times.push(clock.mono());
      });
    }
    await clock.advance(1000);
    const bits = [1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1];
    expect(answers).toEqual([
      { ok: false, failure: 'timeout' },
      { ok: true, values: bits },
    ]);
    expect(times).toEqual([START_MS + 100, START_MS + 105]);
  });
});

describe('the queue', () => {
  test('four calls at once: each its own answer, never two frames on the wire', async () => {
    const { clock, slave, master } = await masterBench();
    const asked = [READ, INPUTS, COIL_ON, OTHER_UNIT].map((request) => master.request(request));
    await clock.advance(4);
    expect(slave.requests).toHaveLength(1);
    await clock.advance(100);
    const [words, bits, written, other] = await Promise.all(asked);
    expect(words).toEqual({ ok: true, values: [700, 800] });
    expect(bits?.ok && bits.values).toHaveLength(16);
    expect(written).toEqual({ ok: true, values: [] });
    expect(other).toEqual({ ok: true, values: [22] });
  });

  test('between a reply and the next frame lies the silence of 3.5 characters', async () => {
    const { clock, slave, master } = await masterBench();
    void master.request(READ);
    void master.request(READ);
    await clock.advance(5 + 2.004); // the reply came at 5 ms; the gap at 19,200 baud is 2.005 ms
    expect(slave.requests).toHaveLength(1);
    await clock.advance(0.002);
    expect(slave.requests).toHaveLength(2);
  });

  test('an urgent request overtakes all polls but the one on the wire', async () => {
    const { clock, slave, master } = await masterBench();
    for (let count = 0; count < 5; count += 1) void master.request(READ);
    const sent: number[] = [];
    void master.request(COIL_ON, { urgent: true, sent: () => sent.push(clock.mono()) });
    await clock.advance(200);
    expect(slave.requests.map((frame) => frame[1])).toEqual([4, 5, 4, 4, 4, 4]);
    expect(sent).toEqual([START_MS + 5 + silentGapMs(19_200)]);
  });

  test('what expires in the queue never reaches the line', async () => {
    const { clock, slave, master } = await masterBench();
    slave.next(silent);
    void master.request(READ);
    const command = master.request(COIL_ON, { urgent: true, expire_ms: 99 });
    await clock.advance(500);
    expect(await command).toEqual({ ok: false, failure: 'expired' });
    expect(slave.requests.map((frame) => frame[1])).toEqual([4]);
    expect(master.counters().expired).toBe(1);
  });

  test('the queue has a limit, and refuses the newest', async () => {
    const { clock, master } = await masterBench();
    const asked = Array.from({ length: 20 }, () => master.request(READ));
    await clock.advance(1000);
    const outcomes = await Promise.all(asked);
    expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(17); // one on the wire, 16 waiting
    expect(outcomes.at(-1)).toEqual({ ok: false, failure: 'full' });
    expect(master.counters().full).toBe(3);
  });

  test('a device that babbles without end delays a request, it does not block it', async () => {
    const { clock, device, slave, master, ask } = await masterBench();
    const babble = clock.every(1, () => device.write(noise(0x55)));
    await clock.advance(50);
    expect((await ask(READ)).outcome).toEqual({ ok: true, values: [700, 800] });
    expect(slave.requests).toHaveLength(1);
    expect(master.counters().discarded_bytes).toBeGreaterThan(500);
    babble.stop();
  });
});

describe('unplugging', () => {
  test('while a request is pending: it fails at once, and so does what waits', async () => {
    const { clock, device, master, told } = await masterBench();
    const pending = master.request(READ);
    const waiting = master.request(INPUTS);
    await clock.advance(2);
    device.unplug();
    await clock.advance(0);
    expect(await pending).toEqual({ ok: false, failure: 'lost' });
    expect(await waiting).toEqual({ ok: false, failure: 'closed' });
    expect(clock.mono()).toBe(START_MS + 2);
    expect(told).toEqual(['1 offline: line closed']);
  });

  test('a call after it fails at once and is never sent later', async () => {
    const { clock, device, slave, master, threeMore } = await masterBench();
    device.unplug();
    expect(await master.request(COIL_ON, { urgent: true })).toEqual({
      ok: false,
      failure: 'closed',
    });
    device.replug();
    await clock.advance(1000);
    expect(slave.requests).toHaveLength(0);
    await threeMore();
  });

  test('a line that says open but refuses the frame fails the request only', async () => {
    const { clock, agent, device, slave } = await masterBench();
    const { open_line, refuse } = refusing(agent);
    const master = rtuMaster(open_line, clock, { ...LINE_TIMING, gap_ms: 0 });
    refuse.next = true;
    expect(await master.request(READ)).toEqual({ ok: false, failure: 'lost' });
    const retried = master.request(READ);
    await clock.advance(50);
    expect(await retried).toEqual({ ok: true, values: [700, 800] });
    expect(slave.requests).toHaveLength(1);
    device.unplug();
  });
});

test('a blocked loop is not a silent device: 20 of 20 late timers wait for the bytes in the kernel', async () => {
  const { clock, skew, slave, master, told } = await masterBench();
  for (let round = 0; round < 20; round += 1) {
    slave.next(after(103)); // the reply is there in time, but is read only after the timer of the blocked loop
    const asked = master.request(READ);
    await clock.advance(50);
    skew.ms += 150;
    await clock.advance(200);
    expect(await asked).toEqual({ ok: true, values: [700, 800] });
  }
  expect(master.counters()).toMatchObject({ graced: 20, timeouts: 0 });
  expect(told).toEqual(['1 online: answers']);
});

describe('the adapter hears itself', () => {
  const echoing: Behaviour = (reply, request) => [
    { after_ms: 1, bytes: request },
    ...honest(reply, request),
  ];
  const echoOnly: Behaviour = (_, request) => [{ after_ms: 1, bytes: request }];

  test('configured: reads and writes are answered by the device only', async () => {
    const { slave, ask } = await masterBench({ local_echo: true });
    slave.always(echoing);
    expect((await ask(READ)).outcome).toEqual({ ok: true, values: [700, 800] });
    expect((await ask(COIL_ON)).outcome).toEqual({ ok: true, values: [] });
    slave.always(echoOnly);
    expect((await ask(COIL_ON)).outcome).toEqual({ ok: false, failure: 'timeout' });
    expect((await ask(READ)).outcome).toEqual({ ok: false, failure: 'timeout' });
  });
});

describe('the health of a unit', () => {
  test('three failures lose it; then one probe a second; one answer and it is back', async () => {
    const { clock, slave, master, told } = await masterBench();
    slave.always((reply, request) => (request[0] === 2 ? [] : honest(reply, request)));
    const poll = clock.every(100, () => void master.request(OTHER_UNIT));
    await clock.advance(1000);
    expect(told).toEqual(['2 offline: timeout']);
    const before = slave.requests.length;
    await clock.advance(5000);
    expect(slave.requests.length - before).toBe(5);
    slave.always(honest);
    await clock.advance(1000);
    expect(told).toEqual(['2 offline: timeout', '2 online: answers']);
    expect(master.isOnline(2)).toBe(true);
    poll.stop();
  });

  test('a dead unit never costs another one more than one poll', async () => {
    const { clock, slave, master } = await masterBench();
    slave.always((reply, request) => (request[0] === 2 ? [] : honest(reply, request)));
    const answered: number[] = [];
    const pollOne = clock.every(100, () => {
      void master.request(INPUTS).then(() => answered.push(clock.mono()));
    });
    const pollTwo = clock.every(1000, () => void master.request(OTHER_UNIT));
    await clock.advance(20_000);
    const gaps = answered.slice(1).map((at, index) => at - (answered[index] ?? 0));
    expect(answered.length).toBeGreaterThan(195);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(200);
    pollOne.stop();
    pollTwo.stop();
  });

  test('a command goes to a lost unit too', async () => {
    const { clock, slave, master } = await masterBench();
    slave.always(silent);
    for (let count = 0; count < 3; count += 1) {
      void master.request(READ);
      await clock.advance(200);
    }
    expect(master.isOnline(1)).toBe(false);
    slave.always(honest);
    expect(await master.request(READ)).toEqual({ ok: false, failure: 'offline' });
    const command = master.request(COIL_ON, { urgent: true });
    await clock.advance(100);
    expect(await command).toEqual({ ok: true, values: [] });
    expect(master.isOnline(1)).toBe(true);
  });
});

/** A line whose next write is refused although it is open. */
function refusing(line: ByteLine) {
  const refuse = { next: false };
  const open_line: ByteLine = {
    get isOpen() {
      return line.isOpen;
    },
    write(bytes) {
      if (refuse.next) {
        refuse.next = false;
        throw new Fault('SERIAL_CLOSED', { path: 'refusing' });
      }
      line.write(bytes);
    },
    onData: (listener) => line.onData(listener),
    onUp: (listener) => line.onUp(listener),
    onDown: (listener) => line.onDown(listener),
    close: () => line.close(),
  };
  return { open_line, refuse };
}
