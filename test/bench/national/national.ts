/**
 * The whole country on this machine: 186,100 stations' connections over several gateways, one cloud, one PostgreSQL, one
 * influxd, at the country's noon. The stations are lean (a socket and the wire format); the service is whole. Prints what
 * each part takes, so that it can be said which is split first.
 */
import pg from 'pg';
import { z } from 'zod';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { requireMachine } from '@waystation/scripts/local/machine';
import type { LocalProcess } from '@waystation/scripts/local/process';
import { freePort, temporaryDirectory } from '../../servers/process.ts';
import { startOrderProcess, type OrderProcess } from '../order-process.ts';
import { meter } from '../province/meter.ts';
import { countPoints } from '../province/telemetry.ts';
import { launchGateway, startService, type Service } from '../service.ts';

export const NATION = 186_100;
/** One gateway to two of our provinces: within the open files that most machines allow a process. */
const STATIONS_PER_GATEWAY = 18_700;
const REPORT_INTERVAL_S = 60;
/** 2.31 million visits a day, 11 % of them in the busiest hour, 12 records each. */
const NOON_EVENTS_PER_STATION_S = ((2_309_500 * 0.11) / 3600 / NATION) * 12;
/** One address has 28,000 ports to connect from. */
const CONNECTIONS_PER_ADDRESS = 20_000;
const CONNECTS_PER_S = 1_000;
const OPEN_FILES_RESERVE = 500;
const MEMORY_MB_PER_STATION = 0.09;
const MEMORY_MB_SERVICE = 3_000;
const CHUNK_ROWS = 5_000;

const clock = systemClock();

const Connected = z.object({ connected: z.int(), retries: z.int() });
const Figures = z.object({ n: z.int(), p50_ms: z.int(), p99_ms: z.int(), max_ms: z.int() });
const Paced = z.object({
  events: z.int(),
  samples: z.int(),
  resends: z.int(),
  event: Figures,
  sample: Figures,
});

/** Shandong's stations, and as many more as there are elsewhere: other townships, other numbers. */
function nationCodes(count: number): StationCode[] {
  const codes = shandongStations(1)
    .slice(0, count)
    .map(({ code }) => code);
  for (let place = 0; codes.length < count; place += 1) {
    const county = String(110_101 + (place % 889_898)).padStart(6, '0');
    if (county.startsWith('37')) continue;
    for (let n = 0; n < 20 && codes.length < count; n += 1)
      codes.push(stationCode(`${county}001`, n % 2 === 0 ? 'W' : 'M', n));
  }
  return codes;
}

/** Writes the stations that the seed does not have into leaves of its tree. */
async function addStations(url: string, codes: readonly StationCode[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  for (let from = 0; from < codes.length; from += CHUNK_ROWS) {
    const chunk = codes.slice(from, from + CHUNK_ROWS);
    await client.query(
      `insert into station (code, name, kind, organisation_id, longitude, latitude)
       select code, '驿站 ' || code, substr(code, 10, 1), leaf.id, 117, 36
       from unnest($1::text[]) with ordinality as new (code, n)
       join (select id, row_number() over () - 1 as n, count(*) over () as all_n
             from organisation where level = 'township') as leaf on leaf.n = new.n % leaf.all_n
       on conflict (code) do nothing`,
      [chunk],
    );
  }
  await client.end();
}

interface Load {
  order: OrderProcess;
  port: number;
  stations: readonly StationCode[];
  from: string[];
}

function planLoads(codes: readonly StationCode[], ports: readonly number[]): Load[] {
  const share = Math.ceil(codes.length / ports.length);
  return ports.map((port, n) => {
    const stations = codes.slice(n * share, (n + 1) * share);
    const addresses = Math.ceil(stations.length / CONNECTIONS_PER_ADDRESS);
    return {
      order: startOrderProcess(new URL('load.ts', import.meta.url), ['--max-old-space-size=8192']),
      port,
      stations,
      from: Array.from({ length: addresses }, (_, at) => `127.0.${n + 1}.${at + 1}`),
    };
  });
}

async function stored({ postgres, influx }: Service) {
  const client = new pg.Client(postgres.url);
  await client.connect();
  const { rows } = await client.query(
    'select count(*) as n, count(distinct (station_id, generation, seq)) as distinct_n from event',
  );
  await client.end();
  const [counts] = z
    .array(z.object({ n: z.coerce.number(), distinct_n: z.coerce.number() }))
    .parse(rows);
  const samples = [...(await countPoints(influx)).values()].reduce((sum, n) => sum + n, 0);
  return {
    events: counts?.distinct_n ?? 0,
    repeated: (counts?.n ?? 0) - (counts?.distinct_n ?? 0),
    samples,
  };
}

export interface NationalOptions {
  stations: number;
  seconds: number;
  seed: number;
}

/** The gateways, each with a load of its own, all connected. Pushes onto `ends` what must be ended. */
async function openFronts(
  service: Service,
  data_dir: string,
  codes: readonly StationCode[],
  ends: (() => unknown)[],
) {
  const { keys, cloud_url } = service;
  const gateway_count = Math.ceil(codes.length / STATIONS_PER_GATEWAY);
  const stations_max = STATIONS_PER_GATEWAY + OPEN_FILES_RESERVE;
  const gateways: LocalProcess[] = [];
  const ports: number[] = [];
  for (let n = 1; n <= gateway_count; n += 1) {
    const port = await freePort();
    const id = `gateway-${n}`;
    const gateway = await launchGateway({ id, port, data_dir, keys, cloud_url, stations_max });
    ends.push(() => gateway.stop());
    gateways.push(gateway);
    ports.push(port);
  }
  const loads = planLoads(codes, ports);
  ends.push(() => loads.forEach(({ order }) => order.end()));
  const key_file = keys.station_token_private_file;
  const began = clock.mono();
  const answers = await Promise.all(
    loads.map(({ order, port, from, stations }) =>
      order.ask({
        do: 'connect',
        port,
        from,
        key_file,
        stations,
        per_s: CONNECTS_PER_S / loads.length,
      }),
    ),
  );
  const all = answers.map((answer) => Connected.parse(answer));
  const connected = all.reduce((sum, one) => sum + one.connected, 0);
  const retries = all.reduce((sum, one) => sum + one.retries, 0);
  const connect_s = Math.round((clock.mono() - began) / 1000);
  console.error(`${connected} stations connected in ${connect_s} s, ${retries} tries more`);
  return { gateways, loads, connected, connect_s, retries };
}

/** Everybody reports and has visitors for `seconds`; ends when all is acknowledged. */
async function runNoon(loads: readonly Load[], seconds: number, seed: number) {
  const runs = await Promise.all(
    loads.map(async ({ order, stations }, n) =>
      Paced.parse(
        await order.ask({
          do: 'pace',
          seconds,
          report_interval_s: REPORT_INTERVAL_S,
          events_per_s: stations.length * NOON_EVENTS_PER_STATION_S,
          seed: seed + n,
        }),
      ),
    ),
  );
  const sum = (pick: (run: z.output<typeof Paced>) => number) =>
    runs.reduce((all, run) => all + pick(run), 0);
  const worst = (pick: (run: z.output<typeof Paced>) => number) => Math.max(...runs.map(pick));
  return {
    records: sum(({ events, samples }) => events + samples),
    resends: sum(({ resends }) => resends),
    p50_ms: worst(({ event, sample }) => Math.max(event.p50_ms, sample.p50_ms)),
    p99_ms: worst(({ event, sample }) => Math.max(event.p99_ms, sample.p99_ms)),
  };
}

function numbered(name: string, processes: readonly { pid: number }[]): Record<string, number> {
  return Object.fromEntries(processes.map(({ pid }, n) => [`${name}_${n + 1}`, pid]));
}

export async function benchNational({ stations, seconds, seed }: NationalOptions) {
  requireMachine({
    open_files: Math.min(stations, STATIONS_PER_GATEWAY) + OPEN_FILES_RESERVE,
    memory_mb: Math.ceil(stations * MEMORY_MB_PER_STATION) + MEMORY_MB_SERVICE,
  });
  const directory = temporaryDirectory('bench-national');
  const service = await startService(directory.path);
  const ends: (() => unknown)[] = [];
  try {
    await service.stopCloud();
    const codes = nationCodes(stations);
    await addStations(service.postgres.url, codes);
    await service.startCloud();
    const fronts = await openFronts(service, directory.path, codes, ends);
    const { gateways, loads, connected, connect_s, retries } = fronts;
    const usage = meter(
      {
        cloud: service.cloud().child.pid ?? 0,
        postgres: service.postgres.pid,
        influxd: service.influx.pid,
        ...numbered(
          'gateway',
          gateways.map(({ child }) => ({ pid: child.pid ?? 0 })),
        ),
        ...numbered(
          'load',
          loads.map(({ order }) => order),
        ),
      },
      () => clock.mono(),
    );
    const { records, ...noon } = await runNoon(loads, seconds, seed);
    const used = usage();
    console.error('usage', used, '\nnoon', noon);
    const kept = await stored(service);
    return {
      stations: connected,
      seconds,
      seed,
      connect_s,
      connect_retries: retries,
      records,
      records_per_s: Math.round(records / seconds),
      lost: records - kept.events - kept.samples,
      duplicated: kept.repeated,
      ...noon,
      usage: used,
    };
  } finally {
    for (const end of ends.toReversed()) await end();
    await service.stop();
    directory.remove();
  }
}
