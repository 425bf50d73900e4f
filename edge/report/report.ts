/**
 * What of the measurements is worth a record: those that moved beyond their deadband, and all of them at the heartbeat.
 * A value out of range or absent is no value; a sensor that stays so is told as a fault of its device.
 */
import type { Device } from '@waystation/protocol/records';
import {
  MEASUREMENT_NAMES,
  MEASUREMENTS,
  type MeasurementName,
  type Measurements,
  type Reading,
} from '@waystation/protocol/registers';
import { type MonoMs, monoMs } from '@waystation/runtime/clock';

export interface ReportSettings {
  /** All values at least this often, changed or not. */
  heartbeat_ms: number;
  /** Never more often than this, however restless a sensor is. */
  interval_min_ms: number;
  /** A sensor is called broken, or well again, when it was so for this long. */
  sensor_settle_ms: number;
}

export const REPORT_DEFAULTS: ReportSettings = {
  heartbeat_ms: 60_000,
  interval_min_ms: 5_000,
  sensor_settle_ms: 60_000,
};

export type Readings = Partial<Record<MeasurementName, Reading>>;

/** `fitted`: it has said something since the start; one that was always absent is not there, and no fault. */
interface Sensor {
  fitted: boolean;
  broken: boolean;
  /** Since when its readings contradict `broken`. */
  contradicts_since: MonoMs | null;
}

export interface Report {
  /** The last good value of each, as last read. */
  latest: Measurements;
  reported: Measurements;
  reported_at: MonoMs | null;
  sensors: Partial<Record<MeasurementName, Sensor>>;
}

export type ReportEffect =
  | { e: 'report'; values: Measurements }
  | { e: 'sensor'; device: Exclude<Device, 'reader'>; name: MeasurementName; broken: boolean };

export function newReport(): Report {
  return { latest: {}, reported: {}, reported_at: null, sensors: {} };
}

/** One poll of some or all measurements. */
export function stepReport(
  before: Report,
  readings: Readings,
  now: MonoMs,
  settings: ReportSettings,
): { report: Report; effects: ReportEffect[] } {
  const report: Report = {
    ...before,
    latest: { ...before.latest },
    sensors: { ...before.sensors },
  };
  const effects: ReportEffect[] = [];
  for (const name of MEASUREMENT_NAMES) {
    const reading = readings[name];
    if (reading === undefined) continue;
    if (reading.quality === 'good') report.latest[name] = reading.value;
    else delete report.latest[name];
    const sensor = stepSensor(before.sensors[name], reading, now, settings);
    if (sensor.broken !== (before.sensors[name]?.broken ?? false)) {
      effects.push({ e: 'sensor', device: MEASUREMENTS[name].unit, name, broken: sensor.broken });
    }
    report.sensors[name] = sensor;
  }
  const values = dueValues(report, now, settings);
  if (values !== null) {
    report.reported = { ...before.reported, ...values };
    report.reported_at = now;
    effects.push({ e: 'report', values });
  }
  return { report, effects };
}

function dueValues(report: Report, now: MonoMs, settings: ReportSettings): Measurements | null {
  const { latest, reported, reported_at } = report;
  if (Object.keys(latest).length === 0) return null;
  if (reported_at === null || now >= reported_at + settings.heartbeat_ms) return { ...latest };
  if (now < reported_at + settings.interval_min_ms) return null;
  const moved: Measurements = {};
  for (const name of MEASUREMENT_NAMES) {
    const value = latest[name];
    if (value === undefined) continue;
    const last = reported[name];
    if (last === undefined || Math.abs(value - last) >= MEASUREMENTS[name].deadband)
      moved[name] = value;
  }
  return Object.keys(moved).length === 0 ? null : moved;
}

function stepSensor(
  before: Sensor | undefined,
  reading: Reading,
  now: MonoMs,
  settings: ReportSettings,
): Sensor {
  const good = reading.quality === 'good';
  const sensor: Sensor = { fitted: false, broken: false, contradicts_since: null, ...before };
  sensor.fitted ||= reading.quality !== 'absent';
  if (!sensor.fitted || good !== sensor.broken) return { ...sensor, contradicts_since: null };
  const since = sensor.contradicts_since ?? now;
  if (now < monoMs(since + settings.sensor_settle_ms))
    return { ...sensor, contradicts_since: since };
  return { fitted: true, broken: !good, contradicts_since: null };
}
