import { describe, expect, test } from 'vitest';
import {
  COILS,
  DISCRETE_INPUTS,
  INPUT_NAMES,
  MEASUREMENTS,
  UNITS,
  type MeasurementName,
  type Reading,
} from '@waystation/protocol/registers';
import { fakeClock, type MonoMs } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import type { Inputs } from '../ports.ts';
import { memoryLinePair } from './memory-line.ts';
import { changed, honest, scriptedSlave, sealed, silent } from './scripted-slave.ts';
import { stationIo } from './station-io.ts';

const SEED = 7;

/** A station's field parts as the table has them, an hour after their power came; its uptime advances unless `frozen`. */
function station() {
  const clock = fakeClock();
  const { agent, device } = memoryLinePair(clock);
  const slave = scriptedSlave(device, clock, {
    [UNITS.controller]: {
      coils: [false, false, false],
      inputs: Array.from({ length: 16 }, () => false),
      holding: [30],
      words: [3600, 3, 1200, 855, 140, 0xffff, 12, 1001],
    },
    [UNITS.environment]: { words: [0xffcd, 455, 620] },
  });
  const controller = slave.units.get(UNITS.controller);
  const environment = slave.units.get(UNITS.environment);
  if (!controller || !environment) throw new Error('the bench has no units');
  const life = { frozen: false };
  clock.every(1000, () => {
    if (!life.frozen) controller.words[0] = ((controller.words[0] ?? 0) + 1) % 0xffff;
  });
  const io = stationIo({
    line: agent,
    clock,
    random: prng(SEED),
    log: silentLog,
    baud: 115_200,
    release_ms: 5000,
  });
  const inputs: { inputs: Inputs; at: MonoMs }[] = [];
  const readings: Partial<Record<MeasurementName, Reading>>[] = [];
  const devices: string[] = [];
  io.onInputs((values, at) => inputs.push({ inputs: values, at }));
  io.onMeasurements((values) => readings.push(values));
  io.onDevice((name, online, reason) =>
    devices.push(`${name} ${online ? 'online' : 'lost'}: ${reason}`),
  );
  const latest = () => Object.assign({}, ...readings) as Partial<Record<MeasurementName, Reading>>;
  return {
    clock,
    device,
    slave,
    controller,
    environment,
    life,
    io,
    inputs,
    readings,
    devices,
    latest,
  };
}

describe('polls', () => {
  test('read every unit by the table, at once and then in time', async () => {
    const { clock, controller, io, inputs, readings, devices, latest } = station();
    controller.inputs[DISCRETE_INPUTS.lockEngaged.address] = true;
    controller.inputs[DISCRETE_INPUTS.presence.address] = true;
    io.start();
    await clock.advance(60);
    expect(devices).toEqual(['controller online: answers', 'environment online: answers']);
    const active = INPUT_NAMES.filter((name) => inputs[0]?.inputs[name]);
    expect(active).toEqual(['lockEngaged', 'presence']);
    expect(latest()).toEqual({
      uptime_s: { quality: 'good', value: 3600 },
      occupancy_count: { quality: 'good', value: 3 },
      entries_count: { quality: 'good', value: 1200 },
      water_level_percent: { quality: 'good', value: 85.5 },
      cups_count: { quality: 'good', value: 140 },
      tissue_percent: { quality: 'absent' },
      medicine_doses: { quality: 'good', value: 12 },
      battery_percent: { quality: 'outOfRange', value: 100.1 },
      temperature_cel: { quality: 'good', value: -5.1 },
      humidity_percent: { quality: 'good', value: 45.5 },
      co2_ppm: { quality: 'good', value: 620 },
    });
    expect(Object.keys(latest())).toHaveLength(Object.keys(MEASUREMENTS).length);
    const before = { inputs: inputs.length, readings: readings.length };
    await clock.advance(10_000);
    expect(inputs.length - before.inputs).toBe(100);
    expect(readings.length - before.readings).toBe(20);
  });

  test('stop with the agent', async () => {
    const { clock, slave, io } = station();
    io.start();
    await clock.advance(1000);
    await io.stop();
    const before = slave.requests.length;
    await clock.advance(5000);
    expect(slave.requests).toHaveLength(before);
  });

  test('a poll that is late is not asked twice', async () => {
    const { clock, slave, io } = station();
    slave.always((reply) => (reply ? [{ after_ms: 95, bytes: reply }] : [])); // a slow device: no room for all
    io.start();
    await clock.advance(10_000);
    expect(io.counters()).toMatchObject({ full: 0, expired: 0, timeouts: 0 });
  });
});

describe('the release time', () => {
  const writes = (requests: Uint8Array[]) => requests.filter((frame) => frame[1] === 6).length;

  test('is written once a connection, and read back', async () => {
    const { clock, device, slave, controller, io } = station();
    io.start();
    await clock.advance(5000);
    expect(controller.holding[0]).toBe(50);
    expect(writes(slave.requests)).toBe(1);
    device.unplug();
    await clock.advance(2000);
    controller.holding[0] = 30; // its power was off as well
    device.replug();
    await clock.advance(5000);
    expect(controller.holding[0]).toBe(50);
    expect(writes(slave.requests)).toBe(2);
  });

  test('is written again when the controller has restarted unseen', async () => {
    const { clock, slave, controller, io } = station();
    io.start();
    await clock.advance(3000);
    controller.words[0] = 0;
    controller.holding[0] = 30;
    await clock.advance(3000);
    expect(controller.holding[0]).toBe(50);
    expect(writes(slave.requests)).toBe(2);
  });

  test('is not believed by its echo', async () => {
    const { clock, slave, controller, io } = station();
    slave.always((reply, request) => {
      controller.holding[0] = 30; // it answers the write and forgets it
      return honest(reply, request);
    });
    io.start();
    await clock.advance(3500);
    expect(writes(slave.requests)).toBe(5);
  });

  test('is tried again until the controller has it', async () => {
    const { clock, slave, controller, io } = station();
    slave.always((reply, request) =>
      request[1] === 6 ? [{ after_ms: 5, bytes: sealed(1, 0x86, 6) }] : honest(reply, request),
    );
    io.start();
    await clock.advance(3500);
    expect(writes(slave.requests)).toBe(5); // when found, at once with the measurements, then every second
    slave.always(honest);
    await clock.advance(1500);
    expect(controller.holding[0]).toBe(50);
  });
});

describe('the lock', () => {
  const lock = COILS.lockRelease.address;
  const frames = (requests: Uint8Array[]) =>
    requests.filter((frame) => frame[1] === 5 || frame[1] === 1).map((frame) => frame[1]);

  test('is released ahead of the polls and confirmed by reading the coil', async () => {
    const { clock, slave, controller, io } = station();
    io.start();
    await clock.advance(2003); // in the middle of a poll
    const asked_at = clock.mono();
    let sent_after_ms = Number.NaN;
    const sent = () => {
      sent_after_ms = clock.mono() - asked_at;
    };
    const done = io.setLockRelease(true, { expire_ms: 1000, sent });
    await clock.advance(100);
    await done;
    expect(controller.coils[lock]).toBe(true);
    expect(frames(slave.requests)).toEqual([5, 1]);
    expect(sent_after_ms).toBeLessThanOrEqual(5 + 1.75);
  });

  test('is not believed by its echo: a relay that does not move is told', async () => {
    const { clock, slave, controller, io } = station();
    slave.always((reply, request) => {
      const answers = honest(reply, request);
      controller.coils[lock] = false;
      return answers;
    });
    const done = io.setLockRelease(true, { expire_ms: 1000 }).catch((error: unknown) => error);
    await clock.advance(500);
    expect(isFault(await done, 'LOCK_UNCONFIRMED')).toBe(true);
    expect(frames(slave.requests)).toEqual([5, 1, 5, 1]);
  });

  test('one damaged frame does not keep the door shut; `sent` is told once', async () => {
    const { clock, slave, controller, io } = station();
    slave.next((_, request) => {
      controller.coils[lock] = false; // the frame came damaged at the controller: it does nothing and stays silent
      return silent(null, request);
    });
    let sent = 0;
    const done = io.setLockRelease(true, { expire_ms: 1000, sent: () => (sent += 1) });
    await clock.advance(500);
    await done;
    expect(controller.coils[lock]).toBe(true);
    expect(frames(slave.requests)).toEqual([5, 1, 5, 1]);
    expect(sent).toBe(1);
  });

  test('a command that arrived although its reply was lost is not repeated', async () => {
    const { clock, slave, io } = station();
    slave.next(silent);
    const done = io.setLockRelease(true, { expire_ms: 1000 });
    await clock.advance(500);
    await done;
    expect(frames(slave.requests)).toEqual([5, 1]);
  });

  test.each([
    ['MODBUS_TIMEOUT', silent],
    [
      'MODBUS_CRC',
      changed((reply) => reply.map((byte, at) => (at === reply.length - 1 ? byte ^ 1 : byte))),
    ],
    ['MODBUS_EXCEPTION', changed(() => sealed(1, 0x85, 4))],
  ] as const)('a line that fails for good ends with %s', async (code, behaviour) => {
    const { clock, slave, io } = station();
    slave.always(behaviour);
    const done = io.setLockRelease(true, { expire_ms: 1000 }).catch((error: unknown) => error);
    await clock.advance(2000);
    expect(isFault(await done, code)).toBe(true);
  });

  test('an expired command is never sent; a closed line fails at once and keeps nothing', async () => {
    const { clock, device, slave, io } = station();
    slave.next(silent);
    await clock.advance(10);
    io.setSounder(true); // occupies the line until its timeout
    const late = io.setLockRelease(true, { expire_ms: 50 }).catch((error: unknown) => error);
    await clock.advance(500);
    expect(isFault(await late, 'MODBUS_EXPIRED')).toBe(true);
    device.unplug();
    const closed = await io
      .setLockRelease(true, { expire_ms: 1000 })
      .catch((error: unknown) => error);
    expect(isFault(closed, 'SERIAL_CLOSED')).toBe(true);
    device.replug();
    await clock.advance(2000);
    expect(frames(slave.requests)).toEqual([5]); // the sounder's
  });

  test('a newer command ends the attempts of the older one, so that nothing opens behind it', async () => {
    const { clock, slave, controller, io } = station();
    slave.next(silent, silent);
    const release = io.setLockRelease(true, { expire_ms: 5000 }).catch((error: unknown) => error);
    await clock.advance(10);
    const engage = io.setLockRelease(false, { expire_ms: 5000 });
    await clock.advance(1000);
    expect(isFault(await release)).toBe(true);
    await engage;
    expect(controller.coils[lock]).toBe(false);
    expect(slave.requests.filter((frame) => frame[1] === 5).map((frame) => frame[4])).toEqual([
      0xff, 0,
    ]);
  });

  test('the sounder is a coil of its own', async () => {
    const { clock, controller, io } = station();
    io.setSounder(true);
    await clock.advance(50);
    expect(controller.coils).toEqual([false, true, false]);
  });
});

describe('devices', () => {
  test('a line that is never there is told once for each device', async () => {
    const { clock, device, io, devices } = station();
    device.unplug();
    io.start();
    await clock.advance(30_000);
    expect(devices.toSorted()).toEqual(
      ['controller lost: closed', 'environment lost: closed'].toSorted(),
    );
  });

  test('unplugged and back: lost at once, found with the first poll', async () => {
    const { clock, device, io, devices, inputs } = station();
    io.start();
    await clock.advance(1000);
    devices.length = 0;
    device.unplug();
    expect(devices).toEqual(['controller lost: line closed', 'environment lost: line closed']);
    const before = inputs.length;
    await clock.advance(3000);
    expect(inputs).toHaveLength(before);
    device.replug();
    await clock.advance(60);
    expect(devices.slice(2)).toEqual(['controller online: answers', 'environment online: answers']);
    expect(inputs.length).toBeGreaterThan(before);
  });

  test('a dead sensor does not hide the door', async () => {
    const { clock, slave, io, devices, inputs } = station();
    slave.always((reply, request) =>
      request[0] === UNITS.environment ? [] : honest(reply, request),
    );
    io.start();
    await clock.advance(20_000);
    expect(devices).toEqual(['controller online: answers', 'environment lost: timeout']);
    const gaps = inputs.slice(1).map(({ at }, index) => at - (inputs[index]?.at ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(200);
  });

  test('a controller whose uptime stands still is not believed, and its contacts are not passed on', async () => {
    const { clock, life, io, devices, inputs } = station();
    io.start();
    await clock.advance(5000);
    devices.length = 0;
    life.frozen = true;
    await clock.advance(5000);
    expect(devices).toEqual(['controller lost: its answers are old']);
    const before = inputs.length;
    await clock.advance(5000);
    expect(inputs).toHaveLength(before);
    life.frozen = false;
    await clock.advance(3000);
    expect(devices).toEqual(['controller lost: its answers are old', 'controller online: answers']);
    expect(inputs.length).toBeGreaterThan(before);
  });
});
