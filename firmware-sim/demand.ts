/**
 * How many visitors an hour come to a station, by the hour of the day and by what kind of day it is.
 * The figures are published counts and their load model: noon peak, heat wave, sudden rain, snow night, weekend.
 */
import type { StationKind } from '@waystation/protocol/station-code';
import type { EpochMs } from '@waystation/runtime/clock';

export const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** China has one time zone and no summer time. */
const CHINA_OFFSET_MS = 8 * HOUR_MS;

/** Percent of a day's visits in each hour, 0 to 23, China time. */
export const HOUR_WEIGHTS: Readonly<Record<StationKind, readonly number[]>> = {
  W: [1, 0.8, 0.7, 1, 2, 3.5, 5, 4, 3.5, 4, 4.5, 8, 11, 9, 8.5, 7, 5, 4, 4, 4, 3.5, 3, 2, 1],
  M: [0, 0, 0, 0, 0, 0, 0, 2, 6, 10, 16, 9, 7, 8, 14, 14, 8, 4, 1, 1, 0, 0, 0, 0],
};

/**
 * ordinary: by the clock, fewer at the weekend. lunch: the busiest hour of a day, all the time.
 * heat: a red heat alert, two and a half times as many, 11 to 17 h flattened. rain: it begins to pour when the
 * fleet starts: three at each door in five minutes, then more than usual for as long again. snow: the cold night.
 */
export const SCENARIOS = ['ordinary', 'lunch', 'heat', 'rain', 'snow'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface Demand {
  /** Visitors an hour at this moment to a station with so many visits on an ordinary day. */
  perHour(kind: StationKind, visits_per_day: number, at: EpochMs): number;
  /** Never exceeded by `perHour`: the bound that thinning draws from. */
  busiestPerHour(kind: StationKind, visits_per_day: number): number;
}

/** The weekend brings 0.85 of a weekday; both together keep the mean of the week. */
const WEEKDAY = 7 / (5 + 2 * 0.85);
const WEEKEND = 0.85 * WEEKDAY;
const HEAT = 2.5;
const SNOW_NIGHT = 1.5;
const RAIN = 1.6;
const RAIN_BURST_PER_HOUR = 36;
const RAIN_BURST_MS = 5 * 60_000;
const RAIN_MS = 10 * 60_000;
/** In the heat the afternoon is one long noon. */
const HEAT_HOURS = { from: 11, until: 17 };

const busiestWeight: Readonly<Record<StationKind, number>> = {
  W: Math.max(...HOUR_WEIGHTS.W),
  M: Math.max(...HOUR_WEIGHTS.M),
};

function heatWeights(kind: StationKind): readonly number[] {
  const { from, until } = HEAT_HOURS;
  const afternoon = HOUR_WEIGHTS[kind].slice(from, until);
  const flat = afternoon.reduce((sum, weight) => sum + weight, 0) / afternoon.length;
  return HOUR_WEIGHTS[kind].map((weight, hour) => (hour >= from && hour < until ? flat : weight));
}
const HEAT_WEIGHTS: Readonly<Record<StationKind, readonly number[]>> = {
  W: heatWeights('W'),
  M: heatWeights('M'),
};

function localTime(at: EpochMs): { hour: number; weekend: boolean } {
  const local_ms = at + CHINA_OFFSET_MS;
  // 1970-01-01 was a Thursday.
  const weekday = (Math.floor(local_ms / DAY_MS) + 4) % 7;
  return {
    hour: Math.floor((local_ms % DAY_MS) / HOUR_MS),
    weekend: weekday === 0 || weekday === 6,
  };
}

function percentAt(scenario: Scenario, kind: StationKind, at: EpochMs): number {
  if (scenario === 'lunch') return busiestWeight[kind] * WEEKDAY;
  const { hour, weekend } = localTime(at);
  const weights = scenario === 'heat' ? HEAT_WEIGHTS : HOUR_WEIGHTS;
  const weight = (weights[kind][hour] ?? 0) * (weekend ? WEEKEND : WEEKDAY);
  if (scenario === 'heat') return weight * HEAT;
  return scenario === 'snow' && (hour >= 20 || hour < 6) ? weight * SNOW_NIGHT : weight;
}

/** `began_at`: when the rain begins. */
export function demandOf(scenario: Scenario, began_at: EpochMs): Demand {
  const perHour = (kind: StationKind, visits_per_day: number, at: EpochMs): number => {
    const usual = (visits_per_day * percentAt(scenario, kind, at)) / 100;
    const raining_ms = at - began_at;
    if (scenario !== 'rain' || raining_ms < 0 || raining_ms >= RAIN_MS) return usual;
    // Nobody nurses a child faster because it rains.
    if (kind === 'M') return usual;
    return raining_ms < RAIN_BURST_MS ? Math.max(usual, RAIN_BURST_PER_HOUR) : usual * RAIN;
  };
  return {
    perHour,
    busiestPerHour(kind, visits_per_day) {
      const busiest = (visits_per_day * busiestWeight[kind] * WEEKDAY) / 100;
      if (scenario === 'heat') return busiest * HEAT;
      if (scenario === 'snow') return busiest * SNOW_NIGHT;
      return scenario === 'rain' ? Math.max(busiest * RAIN, RAIN_BURST_PER_HOUR) : busiest;
    },
  };
}
