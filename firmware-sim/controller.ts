/** The two units on the RS-485 line, read out of the room: unit 1 the I/O controller, unit 2 the environment sensor. */
import {
  COILS,
  DISCRETE_BLOCK,
  DISCRETE_INPUTS,
  HOLDING_REGISTERS,
  INPUT_NAMES,
  MEASUREMENTS,
  MEASUREMENT_NAMES,
  UNITS,
  type CoilName,
  type InputName,
  type MeasurementName,
  type MeasurementRegister,
  type Unit,
} from '@waystation/protocol/registers';
import { EXCEPTION, type RegisterBank } from './modbus-slave.ts';
import { lockIsEngaged, type World, type WorldInput } from './world.ts';

/** The counters wrap below 0xffff, which means "not fitted". */
const COUNTER_MODULUS = 0xffff;

/** What each contact would read if its wire were sound. */
const CONTACTS: Record<InputName, (world: World) => boolean> = {
  doorOpen: (world) => world.leaf_open,
  lockEngaged: lockIsEngaged,
  egressPressed: (world) => world.egress_ms > 0,
  tamper: (world) => world.tamper,
  sosPressed: (world) => world.sos,
  privacyBolt: (world) => world.bolted,
  smoke: (world) => world.smoke,
  mainsPresent: (world) => world.mains,
  presence: (world) => world.stays_ms.length > 0,
};

export function readContact(world: World, input: InputName): boolean {
  return world.wires[input] ?? CONTACTS[input](world);
}

const GAUGES: Record<MeasurementName, (world: World) => number> = {
  uptime_s: (world) => Math.floor(world.uptime_ms / 1000) % COUNTER_MODULUS,
  occupancy_count: (world) => world.stays_ms.length,
  entries_count: (world) => world.entries % COUNTER_MODULUS,
  water_level_percent: (world) => world.supplies.water,
  cups_count: (world) => world.supplies.cups,
  tissue_percent: (world) => world.supplies.tissue,
  medicine_doses: (world) => world.supplies.medicine,
  battery_percent: (world) => world.battery_percent,
  temperature_cel: (world) => world.temperature_cel,
  humidity_percent: (world) => world.humidity_percent,
  co2_ppm: (world) => world.co2_ppm,
};

/** The value a sound sensor shows, or what the broken one does. */
export function readGauge(world: World, name: MeasurementName): number | 'absent' {
  return world.sensors[name] ?? GAUGES[name](world);
}

/** The 16-bit word on the wire. Only a broken sensor leaves its range. */
export function gaugeWord(world: World, name: MeasurementName): number {
  const register: MeasurementRegister = MEASUREMENTS[name];
  const value = readGauge(world, name);
  if (value === 'absent') return register.absent;
  return Math.round(value / register.scale) & 0xffff;
}

const COIL_STATE: Record<CoilName, (world: World) => boolean> = {
  lockRelease: (world) => world.relay_ms > 0,
  sounder: (world) => world.sounder,
  roomLight: (world) => world.light,
};
const COIL_INPUT: Record<CoilName, (on: boolean) => WorldInput> = {
  lockRelease: (on) => ({ do: 'relay', on }),
  sounder: (on) => ({ do: 'sounder', on }),
  roomLight: (on) => ({ do: 'light', on }),
};

/** Names by address, for one unit. */
function byAddress<N extends string>(
  names: readonly N[],
  table: Readonly<Record<N, { unit: Unit; address: number }>>,
  unit: Unit,
): Map<number, N> {
  return new Map(
    names.filter((name) => table[name].unit === unit).map((name) => [table[name].address, name]),
  );
}

const COIL_NAMES = Object.keys(COILS) as CoilName[];
const TABLES = Object.fromEntries(
  (['controller', 'environment'] as const).map((unit) => [
    unit,
    {
      coils: byAddress(COIL_NAMES, COILS, unit),
      contacts: byAddress(INPUT_NAMES, DISCRETE_INPUTS, unit),
      gauges: byAddress(MEASUREMENT_NAMES, MEASUREMENTS, unit),
    },
  ]),
) as Record<
  Unit,
  {
    coils: Map<number, CoilName>;
    contacts: Map<number, InputName>;
    gauges: Map<number, MeasurementName>;
  }
>;

export interface Room {
  /** The room as it is at this moment. */
  look(): World;
  act(input: WorldInput): void;
}

/** One unit's registers over the room; `onLockCoil` is told of each write to the lock relay, before it acts. */
export function unitBank(
  unit: Unit,
  room: Room,
  onLockCoil: (on: boolean) => void = () => {},
): RegisterBank {
  const { coils, contacts, gauges } = TABLES[unit];
  const release = HOLDING_REGISTERS.releaseTime;
  const has_release = (address: number) => release.unit === unit && release.address === address;
  return {
    unit: UNITS[unit],
    readBit(table, address) {
      if (table === 'coil') {
        const coil = coils.get(address);
        return coil === undefined ? null : COIL_STATE[coil](room.look());
      }
      const contact = contacts.get(address);
      if (contact !== undefined) return readContact(room.look(), contact);
      const spare =
        unit === DISCRETE_BLOCK.unit &&
        address >= DISCRETE_BLOCK.address &&
        address < DISCRETE_BLOCK.address + DISCRETE_BLOCK.count;
      return spare ? false : null;
    },
    readWord(table, address) {
      if (table === 'holding')
        return has_release(address)
          ? Math.round(room.look().release_time_ms / 1000 / release.scale)
          : null;
      const gauge = gauges.get(address);
      return gauge === undefined ? null : gaugeWord(room.look(), gauge);
    },
    writeCoil(address, on) {
      const coil = coils.get(address);
      if (coil === undefined) return EXCEPTION.illegalAddress;
      if (coil === 'lockRelease') onLockCoil(on);
      room.act(COIL_INPUT[coil](on));
      return null;
    },
    writeHolding(address, value) {
      if (!has_release(address)) return EXCEPTION.illegalAddress;
      const seconds = value * release.scale;
      if (seconds < release.min || seconds > release.max) return EXCEPTION.illegalValue;
      room.act({ do: 'setReleaseTime', release_ms: Math.round(seconds * 1000) });
      return null;
    },
  };
}
