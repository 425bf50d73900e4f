/**
 * Who comes when: the load model of the stations, from published visit counts.
 * A station's visits a day are log-normal (median 6, mean 12.3); a mom's room has up to 3 sessions a day.
 */
import type { StationKind } from '@waystation/protocol/station-code';
import type { EpochMs } from '@waystation/runtime/clock';
import type { Consumption } from './world.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** China has one time zone and no summer time. */
const CHINA_OFFSET_MS = 8 * HOUR_MS;

const VISITS_MEDIAN = 6;
const VISITS_SIGMA = 1.2;
/** The busiest hall published; a longer tail would be an error of the model. */
const VISITS_MAX = 250;

/** Percent of a day's visits in each hour, 0 to 23, China time. */
export const HOUR_WEIGHTS: Readonly<Record<StationKind, readonly number[]>> = {
  W: [1, 0.8, 0.7, 1, 2, 3.5, 5, 4, 3.5, 4, 4.5, 8, 11, 9, 8.5, 7, 5, 4, 4, 4, 3.5, 3, 2, 1],
  M: [0, 0, 0, 0, 0, 0, 0, 2, 6, 10, 16, 9, 7, 8, 14, 14, 8, 4, 1, 1, 0, 0, 0, 0],
};

/** Standard normal, Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function visitsPerDay(kind: StationKind, random: () => number): number {
  if (kind === 'M') return 0.5 + 2.5 * random();
  return Math.min(VISITS_MAX, VISITS_MEDIAN * Math.exp(VISITS_SIGMA * normal(random)));
}

function hourWeight(kind: StationKind, at_ms: number): number {
  const hour = Math.floor(((at_ms + CHINA_OFFSET_MS) % DAY_MS) / HOUR_MS);
  return HOUR_WEIGHTS[kind][hour] ?? 0;
}

/**
 * When the next visitor comes: a Poisson process whose rate follows the hour, by thinning.
 * Returns ms from `now`; `visits_per_day` must be above 0.
 */
export function nextArrival_ms(
  now: EpochMs,
  kind: StationKind,
  visits_per_day: number,
  random: () => number,
): number {
  const busiest = Math.max(...HOUR_WEIGHTS[kind]);
  const peak_per_ms = (visits_per_day * busiest) / 100 / HOUR_MS;
  let wait_ms = 0;
  for (;;) {
    wait_ms += -Math.log(1 - random()) / peak_per_ms;
    if (random() * busiest < hourWeight(kind, now + wait_ms)) return wait_ms;
  }
}

/** 15 to 25 minutes in a station, 25 to 30 in a mom's room. */
export function stay_ms(kind: StationKind, random: () => number): number {
  const [least, most] = kind === 'M' ? [25, 30] : [15, 25];
  return (least + (most - least) * random()) * 60_000;
}

/** What one visit takes; a full dispenser holds 75 l. */
export function consumption(kind: StationKind, random: () => number): Consumption {
  const litres = 0.2 + 0.6 * random();
  return {
    water: (litres / 75) * 100,
    cups: random() < 0.6 ? 1 : 0,
    tissue: kind === 'M' ? 1.5 : 0.4 * random(),
    medicine: random() < 0.03 ? 1 : 0,
  };
}
