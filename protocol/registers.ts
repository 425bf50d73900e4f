/**
 * The station's field parts as one table (Modbus RTU, Modbus Application Protocol V1.1b3).
 * The agent, the simulator and the documents all read it; nothing else knows an address.
 * Addresses are protocol addresses (from 0). `ref` names the page of the controller's register list in docs/field-parts.md.
 */

/** Unit addresses on the RS-485 line. */
export const UNITS = { controller: 1, environment: 2 } as const;
export type Unit = keyof typeof UNITS;

/** Outputs, function codes 01 and 05. `lockRelease` 1 = released; the controller drops it by itself after `releaseTime`. */
export const COILS = {
  lockRelease: { unit: 'controller', address: 0, ref: 'IO-1' },
  sounder: { unit: 'controller', address: 1, ref: 'IO-1' },
  roomLight: { unit: 'controller', address: 2, ref: 'IO-1' },
} as const satisfies Record<string, { unit: Unit; address: number; ref: string }>;
export type CoilName = keyof typeof COILS;

/** Settings, function codes 03 and 06. */
export const HOLDING_REGISTERS = {
  /** How long `lockRelease` stays on at most, timed by the controller itself: 1..600 x 100 ms. */
  releaseTime: {
    unit: 'controller',
    address: 0,
    scale: 0.1,
    measure: 's',
    min: 0.1,
    max: 60,
    ref: 'IO-2',
  },
} as const satisfies Record<
  string,
  {
    unit: Unit;
    address: number;
    scale: number;
    measure: string;
    min: number;
    max: number;
    ref: string;
  }
>;

/** Contacts, function code 02, read as one block 0..15 of the controller. The comment says what 1 means. */
export const DISCRETE_INPUTS = {
  doorOpen: { unit: 'controller', address: 0, ref: 'IO-3' }, // the leaf is not closed
  lockEngaged: { unit: 'controller', address: 1, ref: 'IO-3' }, // lock feedback: the bolt is thrown
  egressPressed: { unit: 'controller', address: 2, ref: 'IO-3' }, // the exit button, wired to the lock as well
  tamper: { unit: 'controller', address: 3, ref: 'IO-3' }, // the case is open
  sosPressed: { unit: 'controller', address: 4, ref: 'IO-3' },
  privacyBolt: { unit: 'controller', address: 5, ref: 'IO-3' }, // mom's room: bolted from inside
  smoke: { unit: 'controller', address: 6, ref: 'IO-3' },
  mainsPresent: { unit: 'controller', address: 7, ref: 'IO-3' }, // 0 = on battery
  presence: { unit: 'controller', address: 8, ref: 'IO-3' }, // somebody is inside (radar or PIR)
} as const satisfies Record<string, { unit: Unit; address: number; ref: string }>;
export type InputName = keyof typeof DISCRETE_INPUTS;
export const INPUT_NAMES = Object.keys(DISCRETE_INPUTS) as InputName[];
/** Discrete inputs are always read as this one block. */
export const DISCRETE_BLOCK = { unit: 'controller', address: 0, count: 16 } as const;

export interface MeasurementRegister {
  unit: Unit;
  address: number;
  type: 'int16' | 'uint16';
  /** value = raw x scale, in `measure`. */
  scale: number;
  /** SenML unit (RFC 8428) where it has one. */
  measure: 'Cel' | '%RH' | 'ppm' | '%' | 'count' | 's' | 'dose' | 'piece';
  min: number;
  max: number;
  /** A smaller change than this is not reported before the heartbeat. */
  deadband: number;
  /** The raw word that means "sensor not fitted or broken". */
  absent: number;
  ref: string;
  zh: string;
  en: string;
}

/** Measurements, function code 04. Each unit's registers are read in one request. */
export const MEASUREMENTS = {
  uptime_s: {
    unit: 'controller',
    address: 0,
    type: 'uint16',
    scale: 1,
    measure: 's',
    min: 0,
    max: 65535,
    deadband: 65536,
    absent: 0xffff,
    ref: 'IO-4',
    zh: '控制器运行时间',
    en: 'controller uptime, wraps',
  },
  occupancy_count: {
    unit: 'controller',
    address: 1,
    type: 'uint16',
    scale: 1,
    measure: 'count',
    min: 0,
    max: 500,
    deadband: 1,
    absent: 0xffff,
    ref: 'IO-4',
    zh: '在站人数',
    en: 'people inside',
  },
  entries_count: {
    unit: 'controller',
    address: 2,
    type: 'uint16',
    scale: 1,
    measure: 'count',
    min: 0,
    max: 65534,
    deadband: 5,
    absent: 0xffff,
    ref: 'IO-4',
    zh: '累计进入',
    en: 'entries, rising, wraps',
  },
  water_level_percent: {
    unit: 'controller',
    address: 3,
    type: 'uint16',
    scale: 0.1,
    measure: '%',
    min: 0,
    max: 100,
    deadband: 2,
    absent: 0xffff,
    ref: 'IO-5',
    zh: '饮用水',
    en: 'drinking water',
  },
  cups_count: {
    unit: 'controller',
    address: 4,
    type: 'uint16',
    scale: 1,
    measure: 'piece',
    min: 0,
    max: 2000,
    deadband: 10,
    absent: 0xffff,
    ref: 'IO-5',
    zh: '纸杯',
    en: 'paper cups',
  },
  tissue_percent: {
    unit: 'controller',
    address: 5,
    type: 'uint16',
    scale: 0.1,
    measure: '%',
    min: 0,
    max: 100,
    deadband: 5,
    absent: 0xffff,
    ref: 'IO-5',
    zh: '纸巾',
    en: 'tissue',
  },
  medicine_doses: {
    unit: 'controller',
    address: 6,
    type: 'uint16',
    scale: 1,
    measure: 'dose',
    min: 0,
    max: 1000,
    deadband: 1,
    absent: 0xffff,
    ref: 'IO-5',
    zh: '防暑药品',
    en: 'heat medicine',
  },
  battery_percent: {
    unit: 'controller',
    address: 7,
    type: 'uint16',
    scale: 0.1,
    measure: '%',
    min: 0,
    max: 100,
    deadband: 2,
    absent: 0xffff,
    ref: 'IO-6',
    zh: '备用电池',
    en: 'backup battery',
  },
  temperature_cel: {
    unit: 'environment',
    address: 0,
    type: 'int16',
    scale: 0.1,
    measure: 'Cel',
    min: -40,
    max: 85,
    deadband: 0.5,
    absent: 0x8000,
    ref: 'EN-1',
    zh: '室温',
    en: 'room temperature',
  },
  humidity_percent: {
    unit: 'environment',
    address: 1,
    type: 'uint16',
    scale: 0.1,
    measure: '%RH',
    min: 0,
    max: 100,
    deadband: 3,
    absent: 0xffff,
    ref: 'EN-1',
    zh: '湿度',
    en: 'humidity',
  },
  co2_ppm: {
    unit: 'environment',
    address: 2,
    type: 'uint16',
    scale: 1,
    measure: 'ppm',
    min: 0,
    max: 10000,
    deadband: 50,
    absent: 0xffff,
    ref: 'EN-1',
    zh: '二氧化碳',
    en: 'carbon dioxide',
  },
} as const satisfies Record<string, MeasurementRegister>;
export type MeasurementName = keyof typeof MEASUREMENTS;
export const MEASUREMENT_NAMES = Object.keys(MEASUREMENTS) as MeasurementName[];

export type Measurements = Partial<Record<MeasurementName, number>>;

export type Reading =
  | { quality: 'good'; value: number }
  | { quality: 'absent' }
  | { quality: 'outOfRange'; value: number };

/** One 16-bit word as the table says. `word` is 0..65535. */
export function decodeMeasurement(name: MeasurementName, word: number): Reading {
  const register: MeasurementRegister = MEASUREMENTS[name];
  if (word === register.absent) return { quality: 'absent' };
  const raw = register.type === 'int16' ? (word << 16) >> 16 : word;
  const value = Number((raw * register.scale).toFixed(6));
  return value >= register.min && value <= register.max
    ? { quality: 'good', value }
    : { quality: 'outOfRange', value };
}
