/** `npm run fleet -- --stations N`: more simulated stations for a running `npm start`, none of those it has already. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { Fault, isFault } from '@waystation/runtime/fault';
import { callersPath, readFlags, wholeNumber } from './local/flags.ts';
import { startProcess } from './local/process.ts';

const USAGE = `npm run fleet -- [options]
  --stations N       how many (1000)
  --data DIR         data directory of the running npm start (.waystation)
  --mqtt-port N      where its stations connect (1883)
  --report-s N       seconds between reports (60)
  --events N         mean events a station and day (1200)
  --seed N           how their day goes (2)
`;

const OPTIONS = {
  stations: { type: 'string', default: '1000' },
  data: { type: 'string', default: '.waystation' },
  'mqtt-port': { type: 'string', default: '1883' },
  'report-s': { type: 'string', default: '60' },
  events: { type: 'string', default: '1200' },
  seed: { type: 'string', default: '2' },
  help: { type: 'boolean', default: false },
} as const;

/** The stations that npm start drives already: a second session of the same station would push the first one out. */
function takenStations(data_dir: string): ReadonlySet<string> {
  const path = join(data_dir, 'config', 'fleet.json');
  if (!existsSync(path)) return new Set([DEMO_STATION]);
  const config = z
    .looseObject({ stations: z.array(z.string()) })
    .parse(JSON.parse(readFileSync(path, 'utf8')));
  return new Set([DEMO_STATION, ...config.stations]);
}

async function main(): Promise<number> {
  const flags = readFlags(OPTIONS, process.argv.slice(2));
  if (flags.help) {
    console.log(USAGE);
    return 0;
  }
  const data_dir = callersPath(flags.data);
  const keys = join(data_dir, 'keys');
  if (!existsSync(keys))
    throw new Fault('NOT_FOUND', {
      data: data_dir,
      problem: 'no keys there; is npm start running?',
    });
  const taken = takenStations(data_dir);
  const free = shandongStations(1)
    .map((station) => station.code)
    .filter((code) => !taken.has(code));
  const count = wholeNumber('stations', flags.stations, 1, free.length);
  const began = performance.now();
  const fleet = await startProcess({
    name: 'more-stations',
    entry: 'firmware-sim/fleet/main.ts',
    args: [],
    data_dir,
    node_flags: ['--max-semi-space-size=4'],
    ready_within_ms: 300_000,
    config: {
      stations: free.slice(0, count),
      data_dir: join(data_dir, 'more-stations'),
      gateway: {
        url: `mqtt://127.0.0.1:${wholeNumber('mqtt-port', flags['mqtt-port'], 1, 65_535)}`,
      },
      token_key_file: join(keys, 'station-token.private.pem'),
      root_keys_file: join(keys, 'root-public.json'),
      report_interval_ms: 1000 * wholeNumber('report-s', flags['report-s'], 1, 3600),
      poll_interval_ms: 2_000,
      events_per_station_day: wholeNumber('events', flags.events, 0, 100_000),
      connect_per_s: 200,
      seed: wholeNumber('seed', flags.seed, 0, 0xffff_ffff),
      log_level: 'info',
    },
  });
  console.log(
    `${count} stations connected in ${((performance.now() - began) / 1000).toFixed(0)} s; end with Ctrl-C`,
  );
  const interrupted = new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  const end = await Promise.race([interrupted.then(() => null), fleet.ended]);
  if (end !== null) {
    console.error(
      `the fleet ended (${end}); its last words are in ${join(data_dir, 'logs', 'more-stations.log')}`,
    );
    return 1;
  }
  await fleet.stop();
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
