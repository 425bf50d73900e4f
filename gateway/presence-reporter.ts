/** Keeps the presence of every station seen here and tells the cloud what changed, the latest of each station. */
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import type { StationPresence } from '@waystation/protocol/uplink';
import type { StationCode } from '@waystation/protocol/station-code';
import { backoff, type BackoffLimits } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import type { Counters } from './metrics.ts';
import { stepPresence, type PresenceInput, type PresenceState } from './presence.ts';

export interface PresenceReporterOptions {
  gateway: string;
  clock: Clock;
  random: () => number;
  counters: Counters;
  stations_max: number;
  /** How long changes are collected. */
  collect_ms: number;
  pauses: BackoffLimits;
  /** Rejects when the cloud did not accept the report. */
  post(report: PresenceReport): Promise<void>;
}

export interface PresenceReporter {
  note(station: StationCode, event: PresenceInput): void;
  /**
   * Notes nothing more, since connections now end by this gateway's own doing and their stations are not dead.
   * Tells what was collected before, in one last attempt.
   */
  stop(): Promise<void>;
  readonly online: number;
  readonly unreported: number;
}

const CHANGES_MAX = 2000;

type Change = PresenceReport['changes'][number];

export function createPresenceReporter(options: PresenceReporterOptions): PresenceReporter {
  const { clock, counters } = options;
  const stations = new Map<StationCode, PresenceState>();
  const unreported = new Map<StationCode, Change>();
  const stopped = new AbortController();
  let online = 0;
  let running: Promise<void> | null = null;

  function keep(station: StationCode, presence: StationPresence): void {
    counters.presence_changes += 1;
    unreported.set(station, { station, seen_at: clock.wall(), presence });
    running ??= report();
  }

  /** Posts until nothing is left; the only retry of presence, since nobody else will repeat it. */
  async function report(): Promise<void> {
    let pauses = backoff(options.random, options.pauses);
    await clock.sleep(options.collect_ms, stopped.signal);
    while (unreported.size > 0) {
      const changes = [...unreported.values()].slice(0, CHANGES_MAX);
      try {
        await options.post({ gateway: options.gateway, changes });
        counters.presence_reports += 1;
        pauses = backoff(options.random, options.pauses);
        // A change that came meanwhile is another object and stays.
        for (const change of changes) {
          if (unreported.get(change.station) === change) unreported.delete(change.station);
        }
      } catch {
        counters.presence_reports_failed += 1;
        if (stopped.signal.aborted) break;
        await clock.sleep(pauses.next().value, stopped.signal);
      }
    }
    running = null;
  }

  return {
    note(station, event) {
      if (stopped.signal.aborted) return;
      const before = stations.get(station) ?? { name: 'unknown' };
      if (before.name === 'unknown' && stations.size >= options.stations_max) {
        counters.presence_overflow += 1;
        return;
      }
      const { state, report } = stepPresence(before, event);
      stations.set(station, state);
      online += Number(state.name === 'online') - Number(before.name === 'online');
      if (report !== null) keep(station, report);
      else if (event.input === 'published') counters.presence_ignored += 1;
    },
    async stop() {
      stopped.abort();
      await running;
    },
    get online() {
      return online;
    },
    get unreported() {
      return unreported.size;
    },
  };
}
