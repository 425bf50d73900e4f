/** A fleet of simulated stations: `node firmware-sim/fleet/main.ts --config FILE`. */
import { join } from 'node:path';
import { systemClock } from '@waystation/runtime/clock';
import { configFromCommandLine } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { jsonLog, type Log } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { openControlSocket } from '../control-socket.ts';
import { FleetConfig, SAMPLE_CONFIG } from './config.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { watchTraffic, type Traffic } from './traffic.ts';

/** Longer than this a stop is not waited for. */
const STOP_MS = 4_500;
const LOOK_MS = 500;
/** How often the fleet says how it is. */
const PROGRESS_MS = 10_000;
const STATUS_MS = 60_000;

const clock = systemClock();
const print = (text: string) => void process.stdout.write(text);

function flatTotals(fleet: Fleet, traffic: Traffic) {
  const { events, samples, ...counts } = fleet.totals();
  const rss_mb = Math.round(process.memoryUsage.rss() / 1024 ** 2);
  return {
    ...counts,
    events: events.head,
    events_acked: events.acked,
    samples: samples.head,
    samples_acked: samples.acked,
    ...traffic.bytes(),
    rss_mb,
  };
}

/** Says `ready` once when every station is connected, and how things stand now and then. */
function tellProgress(
  totalsNow: () => ReturnType<typeof flatTotals>,
  log: Log,
  ready_facts: { control: string },
) {
  let ready = false;
  let told_at = clock.mono();
  return clock.every(LOOK_MS, () => {
    const due = clock.mono() - told_at >= (ready ? STATUS_MS : PROGRESS_MS);
    if (ready && !due) return;
    const totals = totalsNow();
    if (!ready && totals.connected === totals.stations) {
      ready = true;
      log('info', 'ready', { ...totals, ...ready_facts });
    } else if (due) log('info', ready ? 'fleet.status' : 'fleet.starting', totals);
    if (due) told_at = clock.mono();
  });
}

async function run(config: FleetConfig): Promise<void> {
  const log = jsonLog(clock, 'fleet', config.log_level, print);
  const traffic = watchTraffic();
  const fleet = createFleet(config, clock, Math.random, log);
  const totals = () => flatTotals(fleet, traffic);
  const control = await openControlSocket(
    join(config.data_dir, 'simulator.sock'),
    fleet.hardware,
    prng(config.seed),
    {
      totals,
      positions: () => ({ positions: fleet.positions() }),
      delays: () => fleet.delays(),
      newDelays: () => {
        fleet.clearDelays();
        return {};
      },
    },
  );
  const progress = tellProgress(totals, log, { control: control.path });
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log('info', 'stopping', { signal });
    clock.after(STOP_MS, () => {
      log('error', 'stop.cut', { after_ms: STOP_MS });
      process.exit(1);
    });
    progress.stop();
    await control.close();
    await fleet.stop();
    log('info', 'stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  log('info', 'fleet.began', { control: control.path });
  await fleet.start();
}

try {
  const about = {
    name: 'fleet',
    purpose: 'simulated stations, as many as you like, in one process.',
    sample: SAMPLE_CONFIG,
  };
  const config = configFromCommandLine(FleetConfig, about, process.argv.slice(2), print);
  if (config !== null) await run(config);
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`fleet: ${error.message}\n${error.operator}\n`);
  process.exitCode = error.code === 'USAGE' || error.code.startsWith('CONFIG_') ? 2 : 1;
}
