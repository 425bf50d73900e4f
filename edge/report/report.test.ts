import { decodeMeasurement, type Measurements } from '@waystation/protocol/registers';
import { monoMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { describe, expect, test } from 'vitest';
import {
  newReport,
  type Readings,
  type Report,
  REPORT_DEFAULTS,
  type ReportEffect,
  stepReport,
} from './report.ts';

const good = (value: number) => ({ quality: 'good', value }) as const;
const ABSENT = { quality: 'absent' } as const;

function station() {
  let report: Report = newReport();
  let now = 1_000_000;
  return {
    poll(readings: Readings, after_ms = 1_000): ReportEffect[] {
      now += after_ms;
      const step = stepReport(report, readings, monoMs(now), REPORT_DEFAULTS);
      report = step.report;
      return step.effects;
    },
    latest: () => report.latest,
  };
}
const values = (effects: ReportEffect[]): Measurements[] =>
  effects.flatMap((effect) => (effect.e === 'report' ? [effect.values] : []));

describe('report', () => {
  test('the first poll tells everything, the next only what moved beyond its deadband', () => {
    const { poll } = station();
    expect(values(poll({ temperature_cel: good(20), co2_ppm: good(600) }))).toEqual([
      { temperature_cel: 20, co2_ppm: 600 },
    ]);
    expect(values(poll({ temperature_cel: good(20.4), co2_ppm: good(649) }, 10_000))).toEqual([]);
    expect(values(poll({ temperature_cel: good(20.5), co2_ppm: good(649) }, 10_000))).toEqual([
      { temperature_cel: 20.5 },
    ]);
  });

  test('small steps add up against the last report, not against the last poll', () => {
    const { poll } = station();
    poll({ temperature_cel: good(20) });
    const told = [20.2, 20.4, 20.6].flatMap((value) =>
      values(poll({ temperature_cel: good(value) }, 6_000)),
    );
    expect(told).toEqual([{ temperature_cel: 20.6 }]);
  });

  test('the heartbeat tells everything again', () => {
    const { poll } = station();
    const calm = { temperature_cel: good(20), water_level_percent: good(80) };
    poll(calm);
    let told = 0;
    for (let n = 0; n < 600; n += 1) told += values(poll(calm)).length;
    expect(told).toBe(10);
  });

  test('a restless sensor is told at most every 5 s', () => {
    const { poll } = station();
    const random = prng(1);
    let told = 0;
    for (let n = 0; n < 600; n += 1)
      told += values(poll({ co2_ppm: good(400 + random() * 5_000) }, 100)).length;
    expect(told).toBe(12);
  });

  test('a value out of range or absent is no value', () => {
    const { poll, latest } = station();
    poll({ temperature_cel: good(20) });
    poll({ temperature_cel: { quality: 'outOfRange', value: 900 } }, 61_000);
    expect(latest()).toEqual({});
    expect(values(poll({ temperature_cel: ABSENT }, 61_000))).toEqual([]);
  });

  test('a broken sensor is told once when it stays broken, and once when it is well again', () => {
    const { poll } = station();
    const told: ReportEffect[] = [];
    const pollFor = (seconds: number, readings: Readings) => {
      for (let n = 0; n < seconds; n += 1)
        told.push(...poll(readings).filter(({ e }) => e === 'sensor'));
    };
    pollFor(10, { temperature_cel: good(20) });
    pollFor(30, { temperature_cel: ABSENT });
    pollFor(1, { temperature_cel: good(20) });
    expect(told).toEqual([]);
    pollFor(200, { temperature_cel: decodeMeasurement('temperature_cel', 0x7fff) });
    expect(told).toEqual([
      { e: 'sensor', device: 'environment', name: 'temperature_cel', broken: true },
    ]);
    pollFor(200, { temperature_cel: good(20) });
    expect(told.slice(1)).toEqual([
      { e: 'sensor', device: 'environment', name: 'temperature_cel', broken: false },
    ]);
  });

  test('a sensor that was never fitted is no fault', () => {
    const { poll } = station();
    const told = Array.from({ length: 300 }, () => poll({ medicine_doses: ABSENT })).flat();
    expect(told).toEqual([]);
  });
});
