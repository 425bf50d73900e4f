/** The stream of commands: opened again whenever it ends, each command handed to its station at once or not at all. */
import { backoff, type BackoffLimits } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { CloudClient } from './cloud-client.ts';
import type { Counters } from './metrics.ts';
import type { StationSide } from './station-side.ts';

export interface CommandFlowOptions {
  cloud: Pick<CloudClient, 'readCommands'>;
  stations: Pick<StationSide, 'sendCommand'>;
  clock: Clock;
  random: () => number;
  log: Log;
  counters: Counters;
  pauses: BackoffLimits;
}

export interface CommandFlow {
  readonly open: boolean;
  stop(): Promise<void>;
}

/** A stream that lived this long was healthy: the next attempt starts with the first pause again. */
const HEALTHY_MS = 10_000;

export function startCommandFlow(options: CommandFlowOptions): CommandFlow {
  const { cloud, stations, clock, counters } = options;
  const stopped = new AbortController();
  const outage = outageLog(options.log, clock, 'commands.lost', 'commands.restored');
  let open = false;

  async function once(): Promise<void> {
    try {
      await cloud.readCommands({
        signal: stopped.signal,
        opened: () => {
          open = true;
          counters.command_stream_opened += 1;
          outage.worked();
        },
        delivery: ({ station, command }) => {
          if (stations.sendCommand(station, command)) counters.commands += 1;
          else counters.commands_undeliverable += 1;
        },
        malformed: () => {
          counters.commands_malformed += 1;
        },
      });
    } catch (error) {
      if (!stopped.signal.aborted) outage.failed({ problem: String(error) });
    } finally {
      open = false;
    }
  }

  async function run(): Promise<void> {
    let pauses = backoff(options.random, options.pauses);
    while (!stopped.signal.aborted) {
      const began_at = clock.mono();
      await once();
      if (clock.mono() - began_at > HEALTHY_MS) pauses = backoff(options.random, options.pauses);
      await clock.sleep(pauses.next().value, stopped.signal);
    }
  }

  const running = run();
  return {
    get open() {
      return open;
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
