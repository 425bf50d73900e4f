/** Our master on a real port against a slave that is not ours, in a process of its own. */
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serialLine } from '@waystation/edge/bus/serial-line';
import { stationIo } from '@waystation/edge/bus/station-io';
import type { Inputs } from '@waystation/edge/ports';
import {
  DISCRETE_INPUTS,
  INPUT_NAMES,
  MEASUREMENTS,
  MEASUREMENT_NAMES,
  UNITS,
  decodeMeasurement,
  type MeasurementName,
  type Reading,
} from '@waystation/protocol/registers';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { Program, temporaryDirectory } from '../servers/process.ts';

const clock = systemClock();
const directory = temporaryDirectory('bus');
const ours = join(directory.path, 'ours');
const theirs = join(directory.path, 'theirs');
let cable: Program;
let slave: Program;

/** Resolves when `look` finds something; the test's own limit ends it. */
async function until<T>(look: () => T | null | undefined | false): Promise<T> {
  for (;;) {
    const found = look();
    if (found) return found;
    await clock.sleep(5);
  }
}
const linked = (path: string) => {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
};

beforeAll(async () => {
  cable = new Program({
    command: 'socat',
    args: [`pty,raw,echo=0,link=${ours}`, `pty,raw,echo=0,link=${theirs}`],
  });
  await until(() => linked(ours) !== null && linked(theirs) !== null);
  slave = new Program({
    command: process.execPath,
    args: [fileURLToPath(new URL('independent-slave.ts', import.meta.url)), theirs],
  });
  await slave.saw(/^ready$/m);
});
afterAll(async () => {
  await slave.end();
  await cable.end();
  directory.remove();
});

test('reads every unit, sets the release time, releases and engages the lock', async () => {
  const line = serialLine({ path: ours, baud: 115_200 }, clock, prng(1), silentLog);
  const io = stationIo({
    line,
    clock,
    random: prng(2),
    log: silentLog,
    baud: 115_200,
    release_ms: 5000,
    reply_timeout_ms: 5000, // a busy test machine is not a fault of the line
  });
  let inputs: Inputs | null = null;
  const readings: Partial<Record<MeasurementName, Reading>> = {};
  const devices: string[] = [];
  io.onInputs((values) => (inputs = values));
  io.onMeasurements((values) => Object.assign(readings, values));
  io.onDevice((device, online) => devices.push(`${device} ${online ? 'online' : 'lost'}`));
  io.start();

  const seen = await until(() => inputs);
  for (const name of INPUT_NAMES) {
    expect(seen[name], name).toBe(DISCRETE_INPUTS[name].address % 2 === 1);
  }
  await until(() => Object.keys(readings).length === MEASUREMENT_NAMES.length);
  for (const name of MEASUREMENT_NAMES) {
    if (name === 'uptime_s') continue;
    const { unit, address } = MEASUREMENTS[name];
    expect(readings[name], name).toEqual(decodeMeasurement(name, UNITS[unit] * 100 + address));
  }
  await slave.saw(/\{"register":0,"value":50\}/);

  let sent = 0;
  await io.setLockRelease(true, { expire_ms: 10_000, sent: () => (sent += 1) });
  await slave.saw(/\{"coil":0,"on":true\}/);
  await io.setLockRelease(false, { expire_ms: 10_000 });
  await slave.saw(/\{"coil":0,"on":false\}/);
  expect(sent).toBe(1);

  await until(() => io.counters().replies > 40);
  expect(io.counters()).toMatchObject({
    timeouts: 0,
    crc_errors: 0,
    exceptions: 0,
    lost: 0,
    full: 0,
  });
  expect(devices).toEqual(['controller online', 'environment online']);
  await io.stop();
  expect(line.isOpen).toBe(false);
});
