/** `npm start`: the whole of Waystation on this machine, with Shandong's stations to look at and one door to open. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { DEMO_STATION, DEMO_STATION_NAME } from '@waystation/cloud/seed/demo-station';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { Fault, isFault } from '@waystation/runtime/fault';
import { buildConsole } from './local/console.ts';
import { callersPath, readFlags, wholeNumber } from './local/flags.ts';
import { influxAddress, makeInfluxDatabase } from './local/influx.ts';
import { startStack } from './local/stack.ts';

const USAGE = `npm start -- [options]
  --stations N            simulated stations beside the demo station, 0 to 10658 (60)
  --port N                console and API (8080)
  --mqtt-port N           stations connect here (1883)
  --data DIR              everything is kept here (.waystation)
  --database URL          postgres://… instead of the embedded database
  --influx URL            http://[user@]host:port/database instead of the relational store; password from INFLUX_PASSWORD_FILE
  --broker URL            mqtt(s)://user@host:port instead of our own broker; password from BROKER_PASSWORD_FILE
  --seed N                which stations, and how their day goes (1)
  --help
`;

const OPTIONS = {
  stations: { type: 'string', default: '60' },
  port: { type: 'string', default: '8080' },
  'mqtt-port': { type: 'string', default: '1883' },
  data: { type: 'string', default: '.waystation' },
  database: { type: 'string' },
  influx: { type: 'string' },
  broker: { type: 'string' },
  seed: { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
} as const;

function address(flag: string, text: string, protocols: readonly string[]): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (protocols.includes(url.protocol)) return url;
  }
  throw new Fault('USAGE', {
    flag: `--${flag}`,
    problem: `is not an address with ${protocols.join(' or ')}//`,
  });
}

async function portIsFree(port: number): Promise<void> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Fault('PORT_IN_USE', { port }, cause);
  }
  server.close();
  await once(server, 'close');
}

/** Every n-th station of the province, so that each city has some; the demo station comes first and by itself. */
function chooseStations(count: number, seed: number): string[] {
  const codes = shandongStations(1)
    .map((station) => station.code)
    .filter((code) => code !== DEMO_STATION);
  const step = codes.length / Math.max(1, count);
  return Array.from(
    { length: count },
    (_, at) => codes[Math.floor(at * step + (seed % Math.max(1, step))) % codes.length] ?? '',
  );
}

function broker(text: string) {
  const url = address('broker', text, ['mqtt:', 'mqtts:']);
  const password_file = process.env['BROKER_PASSWORD_FILE'];
  if (url.username === '' || password_file === undefined) {
    throw new Fault('USAGE', {
      flag: '--broker',
      problem: 'needs a user in the address and BROKER_PASSWORD_FILE',
    });
  }
  const username = decodeURIComponent(url.username);
  url.username = '';
  return { broker: { url: url.href.replace(/\/$/, ''), username, password_file } };
}

/** Points wait in the backlog until InfluxDB is there: no reason not to start. */
async function influx(text: string) {
  const url = address('influx', text, ['http:', 'https:']);
  const influx = influxAddress(url, process.env['INFLUX_PASSWORD_FILE']);
  if (!(await makeInfluxDatabase(influx)))
    console.error(
      `InfluxDB at ${influx.url} did not make the database ${influx.database}; going on`,
    );
  return { influx };
}

function tell(url: string, data_dir: string) {
  console.log(`
${DEMO_STATION_NAME} ${DEMO_STATION} runs on real pseudo-terminals. Three things to try:
  1. open its door with a member's card:   npm run scan -- --station demo
  2. see it happen, and open it from afar:  ${url}/
  3. cut a wire:                            npm run hardware -- unplug bus
Logs, data and keys: ${data_dir}    End with Ctrl-C.
`);
  console.log(`ready ${url}`);
}

async function main(): Promise<number> {
  const flags = readFlags(OPTIONS, process.argv.slice(2));
  if (flags.help) {
    console.log(USAGE);
    return 0;
  }
  const http_port = wholeNumber('port', flags.port, 1, 65_535);
  const mqtt_port = wholeNumber('mqtt-port', flags['mqtt-port'], 1, 65_535);
  const stations = wholeNumber('stations', flags.stations, 0, 10_658);
  const seed = wholeNumber('seed', flags.seed, 0, 0xffff_ffff);
  const outside = {
    ...(flags.database === undefined
      ? {}
      : { database: address('database', flags.database, ['postgres:', 'postgresql:']).href }),
    ...(flags.influx === undefined ? {} : await influx(flags.influx)),
    ...(flags.broker === undefined ? {} : broker(flags.broker)),
  };
  await portIsFree(http_port);
  if (flags.broker === undefined) await portIsFree(mqtt_port);
  const interrupted = new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  const data_dir = callersPath(flags.data);
  const stack = await startStack({
    ...outside,
    data_dir,
    http_port,
    mqtt_port,
    station_codes: chooseStations(stations, seed),
    seed,
    console_dir: buildConsole(),
    wall_clock: Date.now,
    progress: (text) => console.error(text),
  });
  tell(stack.url, data_dir);
  const broken = await Promise.race([interrupted.then(() => null), stack.broken]);
  if (broken)
    console.error(
      `${broken.name} ended (${broken.end}); its last words are in ${join(data_dir, 'logs', `${broken.name}.log`)}`,
    );
  await stack.stop();
  return broken ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
