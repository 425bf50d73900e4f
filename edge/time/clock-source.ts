/**
 * How far the host's wall clock can be believed. Pure judgement over what the kernel says about its discipline;
 * a clock that fell back behind the last good time is unknown, whoever vouches for it.
 */
import type { ClockQuality } from '@waystation/protocol/records';
import type { Clock } from '@waystation/runtime/clock';
import type { ClockSource } from '../ports.ts';

/** What the kernel knows (adjtimex(2)). */
export interface Discipline {
  synced: boolean;
  max_error_ms: number;
}

export interface HoldoverLimits {
  /** A disciplined oscillator left alone: the kernel keeps its frequency correction, temperature moves it by this much. */
  drift_ppm: number;
  /** Beyond this bound the time is unknown. */
  error_max_ms: number;
  /** A larger jump of wall against monotonic time is a step, and an undisciplined step ends the holdover. */
  step_ms: number;
}

/** 15 ppm reach 120 s after 92 days: a station keeps its time through a season without contact. */
export const HOLDOVER_LIMITS: HoldoverLimits = {
  drift_ppm: 15,
  error_max_ms: 120_000,
  step_ms: 500,
};

/** The last moment this boot's clock was known to be right; null before the first. */
export interface Anchor {
  wall: number;
  mono: number;
  error_ms: number;
}

export interface Judgement {
  quality: ClockQuality;
  /** Bound of the error; null when nothing is known. */
  error_ms: number | null;
  anchor: Anchor | null;
}

/** `floor`: the wall time cannot be earlier than this (last persisted good time, build time). */
export function judgeClock(
  anchor: Anchor | null,
  now: { wall: number; mono: number },
  discipline: Discipline | null,
  floor: number,
  limits: HoldoverLimits = HOLDOVER_LIMITS,
): Judgement {
  const unknown: Judgement = { quality: 'unknown', error_ms: null, anchor: null };
  if (now.wall < floor) return unknown;
  if (discipline?.synced) {
    const error_ms = discipline.max_error_ms;
    return { quality: 'synced', error_ms, anchor: { ...now, error_ms } };
  }
  if (anchor === null) return unknown;
  const elapsed_ms = now.mono - anchor.mono;
  const drift_ms = (elapsed_ms * limits.drift_ppm) / 1_000_000;
  const moved_ms = Math.abs(now.wall - anchor.wall - elapsed_ms);
  const error_ms = anchor.error_ms + drift_ms;
  if (moved_ms > limits.step_ms + drift_ms || error_ms > limits.error_max_ms) return unknown;
  return { quality: 'holdover', error_ms, anchor };
}

/** How often the kernel is asked: 3 µs a call, and a decision at the door must not be older than this. */
const ASK_EVERY_MS = 1_000;

export interface HostClockOptions {
  clock: Clock;
  /** Asks the kernel (`readAdjtimex`), or tells that the host is trusted (`trustedHost`). */
  discipline: () => Discipline | null;
  floor: () => number;
  /** Where an earlier start left off (clock-memory.ts). */
  anchor?: Anchor | null;
  limits?: HoldoverLimits;
}

/** A source that asks at most once a second. */
export function hostClock(options: HostClockOptions): ClockSource & { judge(): Judgement } {
  let judgement: Judgement = {
    quality: 'unknown',
    error_ms: null,
    anchor: options.anchor ?? null,
  };
  let asked_at: number | null = null;
  const judge = () => {
    const now = { wall: options.clock.wall(), mono: options.clock.mono() };
    const rolled_back = now.wall < options.floor();
    if (asked_at !== null && now.mono - asked_at < ASK_EVERY_MS && !rolled_back) return judgement;
    asked_at = now.mono;
    judgement = judgeClock(
      judgement.anchor,
      now,
      options.discipline(),
      options.floor(),
      options.limits,
    );
    return judgement;
  };
  return { judge, quality: () => judge().quality };
}

/** For `clock.source: "host"`: somebody else keeps this host's time. The floor still holds. */
export const trustedHost = (): Discipline => ({ synced: true, max_error_ms: 0 });
