/** Which fault meets whom, when and for how long: pure, so that the same seed is the same run. */
import { prng } from '@waystation/runtime/prng';

export const FAULT_KINDS = [
  'kill',
  'freeze',
  'restart',
  'diskFull',
  'tornWrite',
  'cut',
  'blackHole',
  'stall',
  'delay',
  'throttle',
  'clockJump',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  number: number;
  at_ms: number;
  kind: FaultKind;
  /** A process, or an arrow between two. */
  target: string;
  hold_ms: number;
  /** Of a delay milliseconds, of a throttle bytes a second, of a clock jump seconds; else 0. */
  amount: number;
}

/** Who can be met by what. */
export interface Roster {
  processes: readonly string[];
  /** Processes with a disk of their own. */
  disks: readonly string[];
  edges: readonly string[];
  arrows: readonly string[];
}

export interface Pace {
  first_at_ms: number;
  gap_min_ms: number;
  gap_mean_ms: number;
  hold_min_ms: number;
  hold_max_ms: number;
}
export const PACE: Pace = {
  first_at_ms: 3_000,
  gap_min_ms: 1_000,
  gap_mean_ms: 5_000,
  hold_min_ms: 500,
  hold_max_ms: 15_000,
};

const MINUTE_S = 60;
const YEAR_S = 365 * 24 * 3_600;
/** From the end of 2026 back to the first days of 1970, where a box without a battery wakes up. */
const TO_1970_S = -56.8 * YEAR_S;
/** Years ahead is the rarest: a station that has once trusted it distrusts every later time. */
const JUMPS_S = [-MINUTE_S, 5 * MINUTE_S, -20 * MINUTE_S, 90, TO_1970_S, -YEAR_S, 2 * YEAR_S];

/** Faults overlap, but one target has one at a time. Every kind comes once before any comes again. */
export function planFaults(
  seed: number,
  minutes: number,
  roster: Roster,
  pace: Pace = PACE,
): PlannedFault[] {
  const random = prng(seed);
  const end_ms = minutes * MINUTE_S * 1000;
  const busy_until = new Map<string, number>();
  const plan: PlannedFault[] = [];
  let deck: FaultKind[] = [];
  let at_ms = pace.first_at_ms;
  while (at_ms < end_ms) {
    if (deck.length === 0) deck = shuffled(FAULT_KINDS, random);
    const kind = deck.shift() ?? 'kill';
    const span_ms = pace.hold_max_ms - pace.hold_min_ms;
    const hold_ms = Math.round(pace.hold_min_ms + span_ms * random() ** 2);
    const at = at_ms;
    const free = targetsOf(kind, roster).filter((target) => (busy_until.get(target) ?? 0) <= at);
    const target = free[Math.floor(random() * free.length)];
    const amount = amountOf(kind, random);
    if (target !== undefined) {
      // A process needs a moment on its feet between two blows, or the run only tests starting up.
      busy_until.set(target, at + hold_ms + pace.gap_mean_ms);
      plan.push({ number: plan.length + 1, at_ms: at, kind, target, hold_ms, amount });
    }
    at_ms += Math.round(pace.gap_min_ms - Math.log(1 - random()) * pace.gap_mean_ms);
  }
  return plan;
}

export function printPlan(plan: readonly PlannedFault[]): string {
  return plan
    .map(({ number, at_ms, kind, target, hold_ms, amount }) => {
      const how = amount === 0 ? '' : ` ${amount}`;
      return `${number} at ${at_ms} ms: ${kind} ${target}${how} for ${hold_ms} ms\n`;
    })
    .join('');
}

function targetsOf(kind: FaultKind, roster: Roster): readonly string[] {
  switch (kind) {
    case 'kill':
    case 'freeze':
    case 'restart':
      return roster.processes;
    case 'diskFull':
      return roster.disks;
    case 'tornWrite':
    case 'clockJump':
      return roster.edges;
    case 'cut':
    case 'blackHole':
    case 'stall':
    case 'delay':
    case 'throttle':
      return roster.arrows;
    default:
      return kind satisfies never;
  }
}

function amountOf(kind: FaultKind, random: () => number): number {
  const drawn = random();
  if (kind === 'delay') return Math.round(50 + 1_950 * drawn);
  if (kind === 'throttle') return Math.round(500 + 19_500 * drawn);
  if (kind === 'clockJump') return Math.round(JUMPS_S[Math.floor(drawn * JUMPS_S.length)] ?? 0);
  return 0;
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const keyed = list.map((item) => ({ item, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
