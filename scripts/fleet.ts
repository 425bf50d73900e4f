/** `npm run fleet -- --stations N`: brings a running `npm start` up to N stations; those it drives already count. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { SCENARIOS } from '@waystation/firmware-sim/demand';
import { Fault, isFault } from '@waystation/runtime/fault';
import { callersPath, oneOf, readFlags, wholeNumber } from './local/flags.ts';
import { requireMachine } from './local/machine.ts';
import { enrolVisitors } from './local/member.ts';
import { startProcess, type LocalProcess } from './local/process.ts';

const PROVINCE = shandongStations(1).length;
const USAGE = `npm run fleet -- [options]
  --stations N       how many stations in all, those of npm start included, up to ${PROVINCE} (1000)
  --data DIR         data directory of the running npm start (.waystation)
  --mqtt-port N      where its stations connect (1883)
  --report-s N       seconds between reports (60)
  --events N         mean events a station and day (149: the national average of visits)
  --scenario NAME    what kind of day it is: ${SCENARIOS.join(', ')} (ordinary)
  --ledger FILE      every record that a station made durable, one a line, for an auditor
  --connect-per-s N  beginnings a second (200)
  --seed N           how their day goes (2)

What the ledger's lines mean stands in docs/operations.md.
`;

const OPTIONS = {
  stations: { type: 'string', default: '1000' },
  data: { type: 'string', default: '.waystation' },
  'mqtt-port': { type: 'string', default: '1883' },
  'report-s': { type: 'string', default: '60' },
  events: { type: 'string', default: '149' },
  scenario: { type: 'string', default: 'ordinary' },
  ledger: { type: 'string' },
  'connect-per-s': { type: 'string', default: '200' },
  seed: { type: 'string', default: '2' },
  help: { type: 'boolean', default: false },
} as const;
const VISITORS = 200;
/** Besides one connection a station. */
const OPEN_FILES_RESERVE = 200;
const MEMORY_MB_PER_STATION = 0.12;

function runningConfig(data_dir: string, name: string): unknown {
  const path = join(data_dir, 'config', `${name}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}

/** The stations that npm start drives already: a second session of the same station would push the first one out. */
function takenStations(data_dir: string): ReadonlySet<string> {
  const { stations } = z
    .looseObject({ stations: z.array(z.string()).default([]) })
    .parse(runningConfig(data_dir, 'fleet'));
  return new Set([DEMO_STATION, ...stations]);
}

function cloudUrl(data_dir: string): string {
  const { listen } = z
    .looseObject({ listen: z.looseObject({ port: z.int() }) })
    .parse(runningConfig(data_dir, 'cloud'));
  return `http://127.0.0.1:${listen.port}`;
}

function readOptions() {
  const flags = readFlags(OPTIONS, process.argv.slice(2));
  if (flags.help) return null;
  const data_dir = callersPath(flags.data);
  if (!existsSync(join(data_dir, 'keys')))
    throw new Fault('NOT_FOUND', {
      data: data_dir,
      problem: 'no keys there; is npm start running?',
    });
  const taken = takenStations(data_dir);
  const wanted = wholeNumber('stations', flags.stations, 1, PROVINCE);
  if (wanted <= taken.size) {
    const problem = `npm start drives ${taken.size} stations already; say how many there shall be in all`;
    throw new Fault('USAGE', { flag: '--stations', problem });
  }
  const codes = shandongStations(1)
    .map(({ code }) => code)
    .filter((code) => !taken.has(code))
    .slice(0, wanted - taken.size);
  return { flags, data_dir, codes };
}

async function startFleet({
  flags,
  data_dir,
  codes,
}: NonNullable<ReturnType<typeof readOptions>>): Promise<LocalProcess> {
  const keys = join(data_dir, 'keys');
  const directory = join(data_dir, 'more-stations');
  return startProcess({
    name: 'more-stations',
    entry: 'firmware-sim/fleet/main.ts',
    args: [],
    data_dir,
    node_flags: ['--max-semi-space-size=8'],
    ready_within_ms: 600_000,
    config: {
      stations: codes,
      data_dir: directory,
      gateway: {
        url: `mqtt://127.0.0.1:${wholeNumber('mqtt-port', flags['mqtt-port'], 1, 65_535)}`,
      },
      token_key_file: join(keys, 'station-token.private.pem'),
      root_keys_file: join(keys, 'root-public.json'),
      cards_file: await enrolVisitors(directory, VISITORS, cloudUrl(data_dir), Date.now()),
      ...(flags.ledger === undefined ? {} : { ledger_file: callersPath(flags.ledger) }),
      scenario: oneOf('scenario', flags.scenario, SCENARIOS),
      report_interval_ms: 1000 * wholeNumber('report-s', flags['report-s'], 1, 3600),
      poll_interval_ms: 2_000,
      events_per_station_day: wholeNumber('events', flags.events, 0, 100_000),
      connect_per_s: wholeNumber('connect-per-s', flags['connect-per-s'], 1, 5_000),
      seed: wholeNumber('seed', flags.seed, 0, 0xffff_ffff),
      log_level: 'info',
    },
  });
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const { data_dir, codes } = options;
  requireMachine({
    open_files: codes.length + OPEN_FILES_RESERVE,
    memory_mb: Math.ceil(codes.length * MEMORY_MB_PER_STATION),
  });
  const began = performance.now();
  const fleet = await startFleet(options);
  console.log(
    `${codes.length} stations connected in ${((performance.now() - began) / 1000).toFixed(0)} s; end with Ctrl-C`,
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
