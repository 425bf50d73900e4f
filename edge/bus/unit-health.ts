/** Whether a unit on the line is there: lost after three failures in a row, then asked once a second, so that it costs the others little. */
import { monoMs, type MonoMs } from '@waystation/runtime/clock';

export const FAILURES_UNTIL_OFFLINE = 3;
export const PROBE_MS = 1000;

export type UnitHealth =
  | { s: 'unknown'; failures: number }
  | { s: 'online'; failures: number }
  | { s: 'offline'; probe_at: MonoMs };

export type HealthInput =
  | { i: 'answered' }
  | { i: 'failed' }
  | { i: 'asked' }
  | { i: 'lineDown' }
  | { i: 'lineUp' };

/** `change`: what to tell, once. */
export interface HealthStep {
  next: UnitHealth;
  change: 'online' | 'offline' | null;
}

export const UNKNOWN_HEALTH: UnitHealth = { s: 'unknown', failures: 0 };

export function stepHealth(health: UnitHealth, input: HealthInput, now: MonoMs): HealthStep {
  switch (input.i) {
    case 'answered':
      return {
        next: { s: 'online', failures: 0 },
        change: health.s === 'online' ? null : 'online',
      };
    case 'failed': {
      if (health.s === 'offline') return { next: health, change: null };
      const failures = health.failures + 1;
      return failures < FAILURES_UNTIL_OFFLINE
        ? { next: { ...health, failures }, change: null }
        : lose(health, now, PROBE_MS);
    }
    case 'asked':
      return {
        next: health.s === 'offline' ? { ...health, probe_at: monoMs(now + PROBE_MS) } : health,
        change: null,
      };
    case 'lineDown':
      return lose(health, now, 0);
    case 'lineUp':
      return { next: health.s === 'offline' ? { ...health, probe_at: now } : health, change: null };
    default:
      return input satisfies never;
  }
}

/** Whether a poll of this unit may go to the line now. Commands always may. */
export function mayPoll(health: UnitHealth, now: MonoMs): boolean {
  return health.s !== 'offline' || now >= health.probe_at;
}

function lose(health: UnitHealth, now: MonoMs, probe_ms: number): HealthStep {
  if (health.s === 'offline') return { next: health, change: null };
  return { next: { s: 'offline', probe_at: monoMs(now + probe_ms) }, change: 'offline' };
}
