/** A station's room as physics: door, lock, contacts, people, supplies, air. Stepped purely; nobody here knows Modbus. */
import type { InputName, MeasurementName } from '@waystation/protocol/registers';
import type { StationKind } from '@waystation/protocol/station-code';

export interface DoorTiming {
  /** The egress button frees the lock by its own wire for this long; its contact reads pressed as long. */
  egress_hold_ms: number;
  /** The door closer pulls the leaf shut after this time, unless something holds it. */
  closing_ms: number;
}
export const DOOR_TIMING: DoorTiming = { egress_hold_ms: 3_000, closing_ms: 5_000 };
/** How long after the door fell shut a mother throws the privacy bolt. */
const BOLT_AFTER_MS = 4_000;
/** Somebody whose way out is blocked tries again after this time. */
const TRY_AGAIN_MS = 60_000;
/** People the counter at the door can tell apart. */
export const PEOPLE_MAX = 500;

/** Percent a day each way, for a battery that lasts 8 h and charges in 12 h. */
const BATTERY_DRAIN_PERCENT_PER_MS = 100 / (8 * 3_600_000);
const BATTERY_CHARGE_PERCENT_PER_MS = 100 / (12 * 3_600_000);
/** Time constants of the air in a room of 12 m2. */
const AIR_TAU_MS = 600_000;
const HEAT_TAU_MS = 1_200_000;
const FRESH_AIR_PPM = 450;
const CO2_PER_PERSON_PPM = 130;
const HEAT_PER_PERSON_CEL = 0.3;
const DAMP_PER_PERSON_PERCENT = 1.5;

export const SUPPLIES = ['water', 'cups', 'tissue', 'medicine'] as const;
export type Supply = (typeof SUPPLIES)[number];
export const SUPPLY_MAX = {
  water: 100,
  cups: 2000,
  tissue: 100,
  medicine: 1000,
} as const satisfies Record<Supply, number>;

/** What a visit takes, in the unit of each supply: % of the water, cups, % of the tissue, doses. */
export type Consumption = Readonly<Record<Supply, number>>;

export interface World {
  readonly kind: StationKind;
  readonly timing: Readonly<DoorTiming>;
  readonly uptime_ms: number;
  /** What the relay still has to hold the lock released; 0: not driven. */
  readonly relay_ms: number;
  /** The controller's own limit for `relay_ms`. */
  readonly release_time_ms: number;
  readonly egress_ms: number;
  readonly leaf_open: boolean;
  /** Until the closer has shut the leaf; counts only while it is open and not held. */
  readonly closer_ms: number;
  readonly held: boolean;
  /** A mechanical fault: `stuck` never frees, `broken` never holds. */
  readonly lock: 'works' | 'stuck' | 'broken';
  readonly sounder: boolean;
  readonly light: boolean;
  readonly sos: boolean;
  readonly tamper: boolean;
  readonly smoke: boolean;
  readonly mains: boolean;
  readonly bolted: boolean;
  /** Until the bolt is thrown; 0: nobody means to. */
  readonly bolt_ms: number;
  /** What each person inside still stays. */
  readonly stays_ms: readonly number[];
  readonly entries: number;
  readonly supplies: Readonly<Record<Supply, number>>;
  readonly battery_percent: number;
  readonly outside_cel: number;
  readonly temperature_cel: number;
  readonly humidity_percent: number;
  readonly co2_ppm: number;
  /** Broken wires: what the contact reads instead of the truth. */
  readonly wires: Readonly<Partial<Record<InputName, boolean>>>;
  /** Broken sensors: nothing, or a value that may be outside of the sensor's range. */
  readonly sensors: Readonly<Partial<Record<MeasurementName, number | 'absent'>>>;
}

export type WorldInput =
  | { do: 'nothing' }
  /** The controller switches an output. */
  | { do: 'relay' | 'sounder' | 'light'; on: boolean }
  | { do: 'setReleaseTime'; release_ms: number }
  /** Somebody pulls the door: open if the lock lets, walk in and stay. */
  | { do: 'enter'; stay_ms: number; takes: Consumption }
  /** The next one to go leaves now. */
  | { do: 'leave' }
  /** Somebody inside opens to a visitor without a card, by the egress button. */
  | { do: 'letIn'; stay_ms: number; takes: Consumption }
  | { do: 'egress' | 'openLeaf' | 'closeLeaf' | 'forceLeaf' }
  | { do: 'hold' | 'sos' | 'tamper' | 'smoke' | 'mains' | 'bolt'; on: boolean }
  | { do: 'lock'; state: World['lock'] }
  | { do: 'people'; count: number; stay_ms: number }
  | { do: 'fill'; supply: Supply; to: number }
  | { do: 'weather'; outside_cel: number }
  | { do: 'wire'; input: InputName; reads: boolean | 'ok' }
  | { do: 'sensor'; measurement: MeasurementName; reads: number | 'absent' | 'ok' };

export const HAPPENINGS = [
  'relayDropped',
  'leafOpened',
  'leafClosed',
  'entered',
  'left',
  'refused',
  'full',
  'bolted',
  'unbolted',
] as const;
export type Happening = (typeof HAPPENINGS)[number];

export interface WorldStep {
  world: World;
  happened: Happening[];
}

export function createWorld(kind: StationKind, timing: Readonly<DoorTiming> = DOOR_TIMING): World {
  return {
    kind,
    timing,
    uptime_ms: 0,
    relay_ms: 0,
    release_time_ms: 5_000,
    egress_ms: 0,
    leaf_open: false,
    closer_ms: 0,
    held: false,
    lock: 'works',
    sounder: false,
    light: false,
    sos: false,
    tamper: false,
    smoke: false,
    mains: true,
    bolted: false,
    bolt_ms: 0,
    stays_ms: [],
    entries: 0,
    supplies: { water: 100, cups: 300, tissue: 100, medicine: 60 },
    battery_percent: 100,
    outside_cel: 24,
    temperature_cel: 24,
    humidity_percent: 45,
    co2_ppm: FRESH_AIR_PPM,
    wires: {},
    sensors: {},
  };
}

/** Nothing holds the leaf: relay, egress wire, fire, or no power at all (the lock fails open). */
export function lockIsFree(world: World): boolean {
  if (world.lock !== 'works') return world.lock === 'broken';
  const unpowered = !world.mains && world.battery_percent <= 0;
  return world.relay_ms > 0 || world.egress_ms > 0 || world.smoke || unpowered;
}

/** The bolt of the lock is thrown into the frame: only a shut door can be locked. */
export function lockIsEngaged(world: World): boolean {
  return !world.leaf_open && !lockIsFree(world);
}

/** `dt_ms` pass, then `input` happens. Passing the same time in two steps or in one gives the same room. */
export function stepWorld(world: World, input: WorldInput, dt_ms: number): WorldStep {
  const happened: Happening[] = [];
  return { world: apply(pass(world, dt_ms, happened), input, happened), happened };
}

/** Lets time pass from one thing that happens by itself to the next. */
function pass(world: World, dt_ms: number, happened: Happening[]): World {
  let left_ms = dt_ms;
  let now = world;
  while (left_ms > 0) {
    const slice_ms = Math.min(left_ms, untilNext(now));
    now = fire(drift(now, slice_ms), slice_ms, happened);
    left_ms -= slice_ms;
  }
  return now;
}

function untilNext(world: World): number {
  let next = Infinity;
  const timers = [
    world.relay_ms,
    world.egress_ms,
    world.bolt_ms,
    world.leaf_open && !world.held ? world.closer_ms : 0,
  ];
  for (const timer of timers) if (timer > 0 && timer < next) next = timer;
  for (const stay of world.stays_ms) if (stay < next) next = stay;
  return next;
}

function toward(value: number, target: number, share: number): number {
  return target + (value - target) * share;
}

/** What changes steadily: exact for any length of time, so that a station polled once a minute ages like one polled at 5 Hz. */
function drift(world: World, dt_ms: number): World {
  const people = world.stays_ms.length;
  const air = Math.exp(-dt_ms / AIR_TAU_MS);
  const heat = Math.exp(-dt_ms / HEAT_TAU_MS);
  const charge = world.mains ? BATTERY_CHARGE_PERCENT_PER_MS : -BATTERY_DRAIN_PERCENT_PER_MS;
  return {
    ...world,
    uptime_ms: world.uptime_ms + dt_ms,
    co2_ppm: toward(world.co2_ppm, FRESH_AIR_PPM + CO2_PER_PERSON_PPM * people, air),
    temperature_cel: toward(
      world.temperature_cel,
      world.outside_cel + HEAT_PER_PERSON_CEL * people,
      heat,
    ),
    humidity_percent: toward(
      world.humidity_percent,
      Math.min(95, 45 + DAMP_PER_PERSON_PERCENT * people),
      heat,
    ),
    battery_percent: Math.min(100, Math.max(0, world.battery_percent + charge * dt_ms)),
  };
}

/** Counts every timer down and lets those that end have their effect. */
function fire(world: World, dt_ms: number, happened: Happening[]): World {
  const down = (timer_ms: number) => Math.max(0, timer_ms - dt_ms);
  const closing = world.leaf_open && !world.held;
  let next: World = {
    ...world,
    relay_ms: down(world.relay_ms),
    egress_ms: down(world.egress_ms),
    bolt_ms: down(world.bolt_ms),
    closer_ms: closing ? down(world.closer_ms) : world.closer_ms,
    stays_ms: world.stays_ms.length === 0 ? world.stays_ms : world.stays_ms.map(down),
  };
  if (world.relay_ms > 0 && next.relay_ms === 0) happened.push('relayDropped');
  if (closing && next.closer_ms === 0) next = closeLeaf(next, happened);
  if (world.bolt_ms > 0 && next.bolt_ms === 0) next = throwBolt(next, happened);
  while (next.stays_ms.includes(0)) next = leave(next, happened);
  return next;
}

function openLeaf(world: World, happened: Happening[]): World {
  if (!world.leaf_open) happened.push('leafOpened');
  return { ...world, leaf_open: true, closer_ms: world.timing.closing_ms };
}

function closeLeaf(world: World, happened: Happening[]): World {
  if (!world.leaf_open) return world;
  happened.push('leafClosed');
  const wants_bolt = world.kind === 'M' && world.stays_ms.length > 0 && !world.bolted;
  return {
    ...world,
    leaf_open: false,
    held: false,
    closer_ms: 0,
    bolt_ms: wants_bolt ? BOLT_AFTER_MS : 0,
  };
}

function throwBolt(world: World, happened: Happening[]): World {
  if (world.leaf_open || world.stays_ms.length === 0) return world;
  happened.push('bolted');
  return { ...world, bolted: true };
}

/** The leaf can be moved: it stands open, or neither lock nor bolt holds it. */
function canPass(world: World): boolean {
  return world.leaf_open || (lockIsFree(world) && !world.bolted);
}

function enter(
  world: World,
  visit: { stay_ms: number; takes: Consumption },
  happened: Happening[],
): World {
  if (!canPass(world)) {
    happened.push('refused');
    return world;
  }
  if (world.stays_ms.length >= PEOPLE_MAX) {
    happened.push('full');
    return world;
  }
  const opened = openLeaf(world, happened);
  happened.push('entered');
  const supplies = { ...opened.supplies };
  for (const supply of SUPPLIES)
    supplies[supply] = Math.max(0, supplies[supply] - visit.takes[supply]);
  return {
    ...opened,
    supplies,
    entries: opened.entries + 1,
    stays_ms: [...opened.stays_ms, Math.max(1, visit.stay_ms)],
  };
}

/** Whoever was to go first goes: unbolts, presses the egress button, opens. */
function leave(world: World, happened: Happening[]): World {
  const first = world.stays_ms.indexOf(Math.min(...world.stays_ms));
  if (first < 0) return world;
  const pressed = { ...world, egress_ms: world.timing.egress_hold_ms, bolted: false, bolt_ms: 0 };
  if (world.bolted) happened.push('unbolted');
  if (!canPass(pressed)) {
    happened.push('refused');
    return { ...pressed, stays_ms: world.stays_ms.with(first, TRY_AGAIN_MS) };
  }
  happened.push('left');
  return openLeaf({ ...pressed, stays_ms: world.stays_ms.toSpliced(first, 1) }, happened);
}

function without<K extends string, V>(
  map: Readonly<Partial<Record<K, V>>>,
  key: K,
): Partial<Record<K, V>> {
  const copy = { ...map };
  delete copy[key];
  return copy;
}

function apply(world: World, input: WorldInput, happened: Happening[]): World {
  switch (input.do) {
    case 'nothing':
      return world;
    case 'relay':
      return { ...world, relay_ms: input.on ? world.release_time_ms : 0 };
    case 'setReleaseTime':
      return { ...world, release_time_ms: input.release_ms };
    case 'enter':
      return enter(world, input, happened);
    case 'leave':
      return leave(world, happened);
    case 'letIn':
      return enter(
        { ...world, egress_ms: world.timing.egress_hold_ms, bolted: false },
        input,
        happened,
      );
    case 'egress':
      return { ...world, egress_ms: world.timing.egress_hold_ms };
    case 'openLeaf':
      if (canPass(world)) return openLeaf(world, happened);
      happened.push('refused');
      return world;
    case 'forceLeaf':
      return openLeaf(world, happened);
    case 'closeLeaf':
      return closeLeaf(world, happened);
    case 'hold':
      return { ...world, held: input.on, closer_ms: world.leaf_open ? world.timing.closing_ms : 0 };
    case 'bolt':
      happened.push(input.on ? 'bolted' : 'unbolted');
      return { ...world, bolted: input.on, bolt_ms: 0 };
    case 'sounder':
    case 'light':
    case 'sos':
    case 'tamper':
    case 'smoke':
    case 'mains':
      return { ...world, [input.do]: input.on };
    case 'lock':
      return { ...world, lock: input.state };
    case 'people':
      return {
        ...world,
        stays_ms: Array.from({ length: Math.min(input.count, PEOPLE_MAX) }, () => input.stay_ms),
      };
    case 'fill':
      return {
        ...world,
        supplies: {
          ...world.supplies,
          [input.supply]: Math.min(SUPPLY_MAX[input.supply], Math.max(0, input.to)),
        },
      };
    case 'weather':
      return { ...world, outside_cel: input.outside_cel };
    case 'wire':
      return {
        ...world,
        wires:
          input.reads === 'ok'
            ? without(world.wires, input.input)
            : { ...world.wires, [input.input]: input.reads },
      };
    case 'sensor':
      return {
        ...world,
        sensors:
          input.reads === 'ok'
            ? without(world.sensors, input.measurement)
            : { ...world.sensors, [input.measurement]: input.reads },
      };
    default:
      return input satisfies never;
  }
}
