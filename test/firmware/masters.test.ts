/** The simulated controller against Modbus masters that are not ours, over a real pty. */
import Modbus from 'jsmodbus';
import modbus from 'modbus-serial';
import { SerialPort } from 'serialport';
import { afterEach, expect, test } from 'vitest';
import { prng } from '@waystation/runtime/prng';
import { systemClock } from '@waystation/runtime/clock';
import { stationCode } from '@waystation/protocol/station-code';
import {
  DISCRETE_INPUTS,
  INPUT_NAMES,
  MEASUREMENT_NAMES,
  MEASUREMENTS,
  UNITS,
  type MeasurementName,
} from '@waystation/protocol/registers';
import { openPty } from '@waystation/firmware-sim/pty';
import { createStation } from '@waystation/firmware-sim/station';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

function startStation() {
  const bus = openPty();
  const reader = openPty();
  cleanup.push(
    () => bus.close(),
    () => reader.close(),
  );
  const station = createStation({
    code: stationCode('370811011', 'W', 1),
    clock: systemClock(),
    random: prng(1),
    bus,
    reader,
  });
  return { station, bus_path: bus.path };
}

/** What each gauge is set to, and the word that must be on the wire: worked out by hand from the register list. */
const SHOWN: Record<Exclude<MeasurementName, 'uptime_s'>, { value: number; word: number }> = {
  occupancy_count: { value: 7, word: 7 },
  entries_count: { value: 1234, word: 0x04d2 },
  water_level_percent: { value: 80.5, word: 805 },
  cups_count: { value: 299, word: 299 },
  tissue_percent: { value: 12.3, word: 123 },
  medicine_doses: { value: 60, word: 60 },
  battery_percent: { value: 99.9, word: 999 },
  temperature_cel: { value: -12.5, word: 0xff83 },
  humidity_percent: { value: 45.6, word: 456 },
  co2_ppm: { value: 1500, word: 1500 },
};

function showAll(station: ReturnType<typeof startStation>['station']) {
  for (const [name, { value }] of Object.entries(SHOWN)) {
    station.act({ do: 'sensor', measurement: name as MeasurementName, reads: value });
  }
}

test('modbus-serial reads every register of the table right and drives the lock', async () => {
  const { station, bus_path } = startStation();
  showAll(station);
  const master = new modbus.default();
  await master.connectRTUBuffered(bus_path, { baudRate: 115200 });
  cleanup.push(() => new Promise<void>((resolve) => master.close(() => resolve())));
  master.setTimeout(1000);

  for (const unit of ['controller', 'environment'] as const) {
    master.setID(UNITS[unit]);
    const names = MEASUREMENT_NAMES.filter((name) => MEASUREMENTS[name].unit === unit);
    const { data } = await master.readInputRegisters(0, names.length);
    for (const name of names) {
      if (name !== 'uptime_s')
        expect(data[MEASUREMENTS[name].address], name).toBe(SHOWN[name].word);
    }
  }

  master.setID(UNITS.controller);
  const contacts = async () => (await master.readDiscreteInputs(0, 16)).data;
  const set = (bits: boolean[]) =>
    INPUT_NAMES.filter((name) => bits[DISCRETE_INPUTS[name].address]);
  expect(set(await contacts())).toEqual(['lockEngaged', 'mainsPresent']);
  station.act({ do: 'sos', on: true });
  station.act({ do: 'tamper', on: true });
  expect(set(await contacts())).toEqual(['lockEngaged', 'tamper', 'sosPressed', 'mainsPresent']);

  await master.writeRegister(0, 30);
  expect((await master.readHoldingRegisters(0, 1)).data).toEqual([30]);
  await master.writeCoil(0, true);
  expect((await master.readCoils(0, 1)).data[0]).toBe(true);
  expect(set(await contacts())).not.toContain('lockEngaged');
  expect(station.look().relay_ms).toBeGreaterThan(2_000);
  await expect(master.readInputRegisters(99, 1)).rejects.toMatchObject({ modbusCode: 2 });
});

test('jsmodbus reads the same words', async () => {
  const { station, bus_path } = startStation();
  showAll(station);
  const port = new SerialPort({ path: bus_path, baudRate: 115200, autoOpen: false });
  const master = new Modbus.client.RTU(port, UNITS.environment, 1000);
  await new Promise<void>((resolve, reject) =>
    port.open((error) => (error ? reject(error) : resolve())),
  );
  cleanup.push(() => new Promise<void>((resolve) => port.close(() => resolve())));
  const { response } = await master.readInputRegisters(0, 3);
  expect([...response.body.values]).toEqual([
    SHOWN.temperature_cel.word,
    SHOWN.humidity_percent.word,
    SHOWN.co2_ppm.word,
  ]);
});

test('a master sees the faults that were ordered, and health after them', async () => {
  const { station, bus_path } = startStation();
  const master = new modbus.default();
  await master.connectRTUBuffered(bus_path, { baudRate: 115200 });
  cleanup.push(() => new Promise<void>((resolve) => master.close(() => resolve())));
  master.setTimeout(150);
  master.setID(UNITS.controller);
  const read = () => master.readInputRegisters(1, 1);
  station.faults.add('crc', 1);
  await expect(read()).rejects.toThrow(/CRC/);
  station.faults.add('silence', 1);
  await expect(read()).rejects.toMatchObject({ errno: 'ETIMEDOUT' });
  station.faults.add('busy', 1);
  await expect(read()).rejects.toMatchObject({ modbusCode: 6 });
  expect((await read()).data).toEqual([0]);
});
