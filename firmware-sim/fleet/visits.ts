/** A station's day in the fleet: visitors come by the load model, drink, leave; somebody fills up what runs out. */
import type { Clock, EpochMs, Timer } from '@waystation/runtime/clock';
import { HOUR_MS, type Demand } from '../demand.ts';
import type { StationHardware } from '../station.ts';
import { consumption, nextArrival_ms, stay_ms } from '../visitors.ts';
import { SUPPLIES, SUPPLY_MAX } from '../world.ts';

/**
 * Event records that one visit brings, in and out, as counted on a fleet (fleet.test.ts): the button's press and release,
 * the door's released, open, secured, both times, and the room's presence.
 */
export const EVENTS_PER_VISIT = 12;
/** Arrivals are drawn anew at least this often: a timer reaches no further than 24 days, and the hour moves the rate. */
const LOOK_AHEAD_MS = 6 * HOUR_MS;
/** When the water is below this, every fifth visit finds the crew there. */
const NEARLY_OUT_PERCENT = 8;
const CREW_CHANCE = 0.2;

/** Warmest at 15 h China time. */
const WARMEST_UTC_HOUR = 7;

/** A mild day's temperature at the wall of a room, 19 to 29 °C. */
export function outsideCel(wall: EpochMs): number {
  const hours = (wall / HOUR_MS) % 24;
  return 24 + 5 * Math.cos(((hours - WARMEST_UTC_HOUR) / 24) * 2 * Math.PI);
}

export interface Visits {
  /** Visits so far. */
  readonly count: number;
  stop(): void;
}

export interface VisitsOptions {
  hardware: StationHardware;
  visits_per_day: number;
  clock: Clock;
  random: () => number;
  /** What kind of day it is. */
  demand: Demand;
  /** The code that a visitor shows; absent: somebody inside opens. */
  present?: ((wall: EpochMs) => string) | undefined;
}

export function startVisits(options: VisitsOptions): Visits {
  const { hardware, visits_per_day, clock, random, demand, present } = options;
  const { kind } = hardware.look();
  let count = 0;
  let timer: Timer | null = null;

  const fillUp = () => {
    for (const supply of SUPPLIES)
      hardware.act({ do: 'fill', supply, to: Math.min(300, SUPPLY_MAX[supply]) });
  };
  const visit = () => {
    count += 1;
    const { supplies } = hardware.look();
    if (supplies.water < NEARLY_OUT_PERCENT && random() < CREW_CHANCE) fillUp();
    if (present) void hardware.scan(present(clock.wall()));
    else
      hardware.act({
        do: 'letIn',
        stay_ms: stay_ms(kind, random),
        takes: consumption(kind, random),
      });
  };
  const waitForNext = () => {
    const now = clock.wall();
    const wait_ms = nextArrival_ms(now, kind, visits_per_day, random, demand, LOOK_AHEAD_MS);
    timer = clock.after(Math.min(wait_ms, LOOK_AHEAD_MS), () => {
      hardware.act({ do: 'weather', outside_cel: outsideCel(clock.wall()) });
      if (wait_ms <= LOOK_AHEAD_MS) visit();
      waitForNext();
    });
  };
  if (visits_per_day > 0) waitForNext();
  return {
    get count() {
      return count;
    },
    stop: () => timer?.stop(),
  };
}
