/** Log lines as one JSON object each. The level says who must act, not how bad the word sounds. */
import type { Clock } from './clock.ts';

/**
 * debug: protocol mechanics. info: normal life. notice: an operator should see it.
 * warn: one operation failed. error: a feature is down. fatal: the process ends.
 */
export const LEVELS = ['debug', 'info', 'notice', 'warn', 'error', 'fatal'] as const;
export type Level = (typeof LEVELS)[number];
export type LogFacts = Record<string, string | number | boolean | null | undefined>;

export interface Log {
  (level: Level, event: string, facts?: LogFacts): void;
}

/** Writes lines of at least `least` to `write`; one line, one event. Never pass secrets or card content. */
export function jsonLog(
  clock: Clock,
  process_name: string,
  least: Level,
  write: (line: string) => void,
): Log {
  const floor = LEVELS.indexOf(least);
  return (level, event, facts) => {
    if (LEVELS.indexOf(level) < floor) return;
    const at = new Date(clock.wall()).toISOString();
    write(`${JSON.stringify({ at, level, process: process_name, event, ...facts })}\n`);
  };
}

export const silentLog: Log = () => {};

/** Tells once when something goes down and once when it is back, however often it is asked. */
export function outageLog(log: Log, clock: Clock, down_event: string, up_event: string) {
  let down_since: number | null = null;
  return {
    failed(facts?: LogFacts) {
      if (down_since !== null) return;
      down_since = clock.mono();
      log('warn', down_event, facts);
    },
    worked(facts?: LogFacts) {
      if (down_since === null) return;
      log('info', up_event, { ...facts, down_ms: Math.round(clock.mono() - down_since) });
      down_since = null;
    },
  };
}
