/** The station's field parts as the agent sees them: polls by the register table, health of the units, the lock. */
import {
  COILS,
  DISCRETE_BLOCK,
  DISCRETE_INPUTS,
  INPUT_NAMES,
  MEASUREMENTS,
  MEASUREMENT_NAMES,
  UNITS,
  decodeMeasurement,
  type InputName,
  type MeasurementName,
  type Reading,
  type Unit,
} from '@waystation/protocol/registers';
import type { Clock, MonoMs, Timer } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { ByteLine, FieldIo, Inputs } from '../ports.ts';
import { lockRelay } from './lock-relay.ts';
import type { RtuCounters } from './rtu-counters.ts';
import { silentGapMs, type RtuRequest, type RtuValues } from './rtu-frame.ts';
import { rtuMaster, type RtuMaster } from './rtu-master.ts';
import { LINE_TIMING } from './rtu-transaction.ts';
import { stepUptime, type UptimeWatch } from './uptime-watch.ts';

export interface StationIoOptions {
  line: ByteLine;
  clock: Clock;
  random: () => number;
  log: Log;
  /** Of the field bus: it decides the silence between frames. */
  baud: number;
  /** How long the controller itself keeps the lock released at most; written to it on every (re)connect. */
  release_ms: number;
  inputs_interval_ms?: number;
  measurements_interval_ms?: number;
  /** Not shorter than the slowest device answers. Longer than inputs_interval_ms, a dead unit costs the others more than one poll. */
  reply_timeout_ms?: number;
  /** The RS-485 adapter hears its own transmission. */
  local_echo?: boolean;
}

type Readings = Partial<Record<MeasurementName, Reading>>;
type DeviceListener = (device: Unit, online: boolean, reason: string) => void;

const UNIT_NAMES = Object.keys(UNITS) as Unit[];
const INPUTS_REQUEST: RtuRequest = {
  fc: 2,
  unit: UNITS[DISCRETE_BLOCK.unit],
  address: DISCRETE_BLOCK.address,
  count: DISCRETE_BLOCK.count,
};
/** One request a unit for all of its registers. */
const MEASUREMENT_BLOCKS = UNIT_NAMES.map((device) => {
  const names = MEASUREMENT_NAMES.filter((name) => MEASUREMENTS[name].unit === device);
  const addresses = names.map((name) => MEASUREMENTS[name].address);
  const address = Math.min(...addresses);
  const count = Math.max(...addresses) - address + 1;
  return { device, names, request: { fc: 4, unit: UNITS[device], address, count } as const };
});
type MeasurementBlock = (typeof MEASUREMENT_BLOCKS)[number];

const SOUNDER = { unit: UNITS[COILS.sounder.unit], address: COILS.sounder.address } as const;
/** A sounder that starts late is worse than one that stays silent. */
const SOUNDER_EXPIRE_MS = 2000;

/** Owns `line`, and closes it in `stop()`. Polls when started and at once when the line opens. */
export function stationIo(
  options: StationIoOptions,
): FieldIo & { counters(): Readonly<RtuCounters> } {
  const { line, clock } = options;
  const master = rtuMaster(line, clock, {
    ...LINE_TIMING,
    gap_ms: silentGapMs(options.baud),
    reply_timeout_ms: options.reply_timeout_ms ?? LINE_TIMING.reply_timeout_ms,
    local_echo: options.local_echo ?? LINE_TIMING.local_echo,
  });
  const relay = lockRelay(master, clock);
  const on_inputs: ((inputs: Inputs, at: MonoMs) => void)[] = [];
  const on_measurements: ((readings: Readings, at: MonoMs) => void)[] = [];
  const devices = deviceBook(master, options.log);
  const release_time = releaseTimeKeeper(
    (release_ms) => relay.writeReleaseTime(release_ms),
    options,
  );
  const poll = singlePolls(master);
  let uptime: UptimeWatch = { s: 'unseen' };

  const pollInputs = () =>
    poll(INPUTS_REQUEST, (values) => {
      if (!devices.isOnline('controller')) return;
      const inputs = decodeInputs(values);
      for (const listener of on_inputs) listener(inputs, clock.mono());
    });
  const pollMeasurements = () => {
    for (const block of MEASUREMENT_BLOCKS) {
      poll(block.request, (values) => {
        const readings = decodeBlock(block, values);
        if (readings.uptime_s) watchUptime(readings.uptime_s);
        if (!devices.isOnline(block.device)) return;
        for (const listener of on_measurements) listener(readings, clock.mono());
      });
    }
    if (devices.isOnline('controller')) release_time.keep();
  };
  const watchUptime = (reading: Reading) => {
    const uptime_s = reading.quality === 'absent' ? null : reading.value;
    const { next, stale, restarted } = stepUptime(uptime, uptime_s, clock.mono());
    uptime = next;
    if (restarted) release_time.forget();
    devices.distrust('controller', stale);
  };
  const pollAll = () => {
    pollInputs();
    pollMeasurements();
  };
  devices.onDevice((device, online) => {
    if (device !== 'controller') return;
    if (online) release_time.keep();
    else release_time.forget();
  });
  line.onDown(() => {
    uptime = { s: 'unseen' };
  });
  const schedule = pollSchedule(options, pollInputs, pollMeasurements);
  line.onUp(() => {
    if (schedule.running) pollAll();
  });

  return {
    start() {
      schedule.start();
      if (line.isOpen) pollAll();
    },
    async stop() {
      schedule.stop();
      await line.close();
    },
    onInputs: (listener) => void on_inputs.push(listener),
    onMeasurements: (listener) => void on_measurements.push(listener),
    onDevice: devices.onDevice,
    setLockRelease: (on, lock_options) => relay.set(on, lock_options),
    setSounder(on) {
      void master.request({ fc: 5, ...SOUNDER, on }, { expire_ms: SOUNDER_EXPIRE_MS });
    },
    counters: () => master.counters(),
  };
}

/** Polls that never overtake themselves: while one is under way, the same one is left out. */
function singlePolls(master: RtuMaster) {
  const under_way = new Set<RtuRequest>();
  return (request: RtuRequest, answered: (values: RtuValues) => void): void => {
    if (under_way.has(request)) return;
    under_way.add(request);
    void master.request(request).then((outcome) => {
      under_way.delete(request);
      if (outcome.ok) answered(outcome.values);
    });
  };
}

/** Two timers, begun at a random moment of their period so that ten thousand stations in one process do not poll as one. */
function pollSchedule(
  options: StationIoOptions,
  pollInputs: () => void,
  pollMeasurements: () => void,
) {
  const { clock, random } = options;
  const timers = new Set<Timer>();
  const repeat = (period_ms: number, tick: () => void) => {
    const first = clock.after(random() * period_ms, () => {
      timers.delete(first);
      timers.add(clock.every(period_ms, tick));
      tick();
    });
    timers.add(first);
  };
  return {
    get running() {
      return timers.size > 0;
    },
    start() {
      repeat(options.inputs_interval_ms ?? 100, pollInputs);
      repeat(options.measurements_interval_ms ?? 1000, pollMeasurements);
    },
    stop() {
      for (const timer of timers) timer.stop();
      timers.clear();
    },
  };
}

/** A device is online while its unit answers and its answers are believed. Tells every change once. */
function deviceBook(master: RtuMaster, log: Log) {
  const told = new Map<Unit, boolean>();
  const distrusted = new Set<Unit>();
  const listeners: DeviceListener[] = [];
  const tell = (device: Unit, reason: string) => {
    const online = master.isOnline(UNITS[device]) && !distrusted.has(device);
    if (told.get(device) === online) return;
    told.set(device, online);
    log(online ? 'info' : 'warn', online ? 'device.online' : 'device.lost', { device, reason });
    for (const listener of listeners) listener(device, online, reason);
  };
  master.onUnit((unit, online, reason) => {
    const device = UNIT_NAMES.find((name) => UNITS[name] === unit);
    if (device === undefined) return;
    if (!online) distrusted.delete(device);
    tell(device, reason);
  });
  return {
    isOnline: (device: Unit) => told.get(device) === true,
    distrust(device: Unit, stale: boolean) {
      if (stale) distrusted.add(device);
      else distrusted.delete(device);
      tell(device, stale ? 'its answers are old' : 'answers');
    },
    onDevice: (listener: DeviceListener) => void listeners.push(listener),
  };
}

/** Sees to it that the controller knows how long a release may last; asked again with every poll until it does. */
function releaseTimeKeeper(
  write: (release_ms: number) => Promise<boolean>,
  options: StationIoOptions,
) {
  const outage = outageLog(
    options.log,
    options.clock,
    'lock.release_time.unset',
    'lock.release_time.set',
  );
  let state: 'unset' | 'writing' | 'set' = 'unset';
  return {
    keep() {
      if (state !== 'unset') return;
      state = 'writing';
      void write(options.release_ms).then((done) => {
        if (done) outage.worked();
        else outage.failed({ release_ms: options.release_ms });
        if (state === 'writing') state = done ? 'set' : 'unset';
      });
    },
    forget() {
      state = 'unset';
    },
  };
}

function decodeInputs(values: RtuValues): Inputs {
  const inputs: Partial<Record<InputName, boolean>> = {};
  for (const name of INPUT_NAMES) {
    inputs[name] = values[DISCRETE_INPUTS[name].address - DISCRETE_BLOCK.address] === 1;
  }
  return inputs as Record<InputName, boolean>;
}

function decodeBlock(block: MeasurementBlock, values: RtuValues): Readings {
  const readings: Readings = {};
  for (const name of block.names) {
    const word = values[MEASUREMENTS[name].address - block.request.address];
    if (word !== undefined) readings[name] = decodeMeasurement(name, word);
  }
  return readings;
}
