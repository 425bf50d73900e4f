/**
 * Who comes when, how long they stay and what they take: the load model of the stations, from published visit counts.
 * A station's visits a day are log-normal (median 6, mean 12.3); a mom's room has up to 3 sessions a day.
 */
import type { StationKind } from '@waystation/protocol/station-code';
import { epochMs, type EpochMs } from '@waystation/runtime/clock';
import { demandOf, HOUR_MS, type Demand } from './demand.ts';
import type { Consumption } from './world.ts';

const VISITS_MEDIAN = 6;
const VISITS_SIGMA = 1.2;
/** The busiest hall published; a longer tail would be an error of the model. */
const VISITS_MAX = 250;

/** Standard normal, Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function visitsPerDay(kind: StationKind, random: () => number): number {
  if (kind === 'M') return 0.5 + 2.5 * random();
  return Math.min(VISITS_MAX, VISITS_MEDIAN * Math.exp(VISITS_SIGMA * normal(random)));
}

/**
 * When the next visitor comes: a Poisson process whose rate follows the demand, by thinning.
 * Returns ms from `now`, or something beyond `reach_ms` when nobody comes before; `visits_per_day` must be above 0.
 */
export function nextArrival_ms(
  now: EpochMs,
  kind: StationKind,
  visits_per_day: number,
  random: () => number,
  demand: Demand = demandOf('ordinary', now),
  reach_ms = Number.POSITIVE_INFINITY,
): number {
  const busiest = demand.busiestPerHour(kind, visits_per_day);
  let wait_ms = 0;
  for (;;) {
    wait_ms += (-Math.log(1 - random()) / busiest) * HOUR_MS;
    if (wait_ms > reach_ms) return wait_ms;
    const at = epochMs(now + wait_ms);
    if (random() * busiest < demand.perHour(kind, visits_per_day, at)) return wait_ms;
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
