/** The whole system on one machine: cloud, gateway, the demo station on real pseudo-terminals, a fleet of simulated ones. */
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { Fault } from '@waystation/runtime/fault';
import { signStationToken } from '@waystation/runtime/station-token';
import { z } from 'zod';
import { localKeys, type LocalKeys } from './keys.ts';
import { enrolVisitors } from './member.ts';
import { startProcess, type LocalProcess } from './process.ts';

export interface StackOptions {
  data_dir: string;
  http_port: number;
  mqtt_port: number;
  /** Simulated stations beside the demo station. */
  station_codes: readonly string[];
  seed: number;
  /** postgres://…, or absent for the embedded database. */
  database?: string;
  influx?: { url: string; database: string; username?: string; password_file?: string };
  /** An external broker; the gateway becomes its client and stations connect there. */
  broker?: { url: string; username: string; password_file: string };
  /** Gateways side by side on the external broker; one without it. */
  gateways?: 1 | 2;
  /** A second cloud on the same PostgreSQL, and the address of both: a balancer that the caller runs. */
  second_cloud?: { http_port: number; address: string };
  console_dir?: string;
  /** How often simulated stations report and look at their contacts, and how busy they are; as in the fleet's configuration. */
  fleet_pace?: {
    report_interval_ms: number;
    poll_interval_ms: number;
    events_per_station_day: number;
  };
  wall_clock: () => number;
  /** Told of each step: a person waits at the terminal. */
  progress: (text: string) => void;
}

export interface Stack {
  readonly options: StackOptions;
  readonly keys: LocalKeys;
  readonly url: string;
  readonly processes: ReadonlyMap<string, LocalProcess>;
  /** Starts a part again after it was killed. */
  restart(name: StackPart): Promise<LocalProcess>;
  /** Resolves with the name of the first process that ends by itself. */
  readonly broken: Promise<{ name: string; end: number | string }>;
  stop(): Promise<void>;
}

export type StackPart =
  | 'cloud'
  | 'cloud-2'
  | 'gateway'
  | 'gateway-2'
  | 'demo-hardware'
  | 'demo-edge'
  | 'fleet';

/** Lively enough to look at. */
const FLEET_PACE = {
  report_interval_ms: 15_000,
  poll_interval_ms: 1_000,
  events_per_station_day: 3000,
};

export function demoDirectory(data_dir: string): string {
  return join(data_dir, 'demo');
}

export function fleetDirectory(data_dir: string): string {
  return join(data_dir, 'fleet');
}

/** Where gateways, pages and people find the cloud. */
function cloudAddress({ second_cloud, http_port }: StackOptions): string {
  return second_cloud?.address ?? `http://127.0.0.1:${http_port}`;
}

function cloudConfig(part: 'cloud' | 'cloud-2', options: StackOptions, keys: LocalKeys) {
  const port = part === 'cloud' ? options.http_port : options.second_cloud?.http_port;
  return {
    listen: { host: '127.0.0.1', port },
    data_dir: join(options.data_dir, part),
    database: options.database ?? 'pglite',
    ...(options.influx ? { influx: { flavour: 1, ...options.influx } } : {}),
    gateway_token_file: keys.gateway_token_file,
    keys_dir: keys.directory,
    ...(options.console_dir ? { console_dir: options.console_dir } : {}),
    demo_visitor: true,
    seed: { stations: 'shandong' },
    log_level: 'info',
  };
}

function gatewayConfig(part: 'gateway' | 'gateway-2', options: StackOptions, keys: LocalKeys) {
  return {
    id: `${part}-local`,
    ...(options.broker
      ? { broker: { ...options.broker, group: 'waystation' } }
      : { listen: { mqtt: { host: '127.0.0.1', port: options.mqtt_port } } }),
    cloud: { url: cloudAddress(options), token_file: keys.gateway_token_file },
    station_key_file: keys.station_token_public_file,
    http: { host: '127.0.0.1', port: 0 },
    log_level: 'info',
  };
}

/** Where stations connect: our gateway, or the external broker. */
function stationGatewayUrl(options: StackOptions): string {
  return options.broker?.url ?? `mqtt://127.0.0.1:${options.mqtt_port}`;
}

function demoEdgeConfig(options: StackOptions, keys: LocalKeys) {
  const directory = demoDirectory(options.data_dir);
  mkdirSync(directory, { recursive: true });
  const token_file = join(directory, 'station.token');
  const key = createPrivateKey(readFileSync(keys.station_token_private_file));
  const issued_at_s = Math.floor(options.wall_clock() / 1000);
  writeFileSync(token_file, `${signStationToken(key, { station: DEMO_STATION, issued_at_s })}\n`, {
    mode: 0o600,
  });
  return {
    station: DEMO_STATION,
    data_dir: join(directory, 'edge'),
    gateway: { url: stationGatewayUrl(options), password_file: token_file },
    field_bus: { path: join(directory, 'field-bus'), baud: 115200 },
    reader: { path: join(directory, 'reader'), baud: 115200 },
    trust: { root_keys_file: keys.root_keys_file },
    clock: { source: 'host' },
    log_level: 'info',
  };
}

/** Cards among the fleet's visitors: few, since one person may come to many stations. */
const VISITORS = 24;

async function fleetConfig(options: StackOptions, keys: LocalKeys) {
  const directory = fleetDirectory(options.data_dir);
  const api_url = cloudAddress(options);
  return {
    stations: options.station_codes,
    data_dir: fleetDirectory(options.data_dir),
    gateway: { url: stationGatewayUrl(options) },
    token_key_file: keys.station_token_private_file,
    token_issued_at_s: Math.floor(options.wall_clock() / 1000),
    root_keys_file: keys.root_keys_file,
    cards_file: await enrolVisitors(directory, VISITORS, api_url, options.wall_clock()),
    ...(options.fleet_pace ?? FLEET_PACE),
    connect_per_s: 100,
    seed: options.seed,
    log_level: 'info',
  };
}

async function startPart(
  part: StackPart,
  options: StackOptions,
  keys: LocalKeys,
): Promise<LocalProcess> {
  const { data_dir } = options;
  const demo = demoDirectory(data_dir);
  switch (part) {
    case 'cloud':
    case 'cloud-2':
      return startProcess({
        name: part,
        entry: 'cloud/main.ts',
        args: [],
        config: cloudConfig(part, options, keys),
        data_dir,
      });
    case 'gateway':
    case 'gateway-2':
      return startProcess({
        name: part,
        entry: 'gateway/main.ts',
        args: [],
        config: gatewayConfig(part, options, keys),
        data_dir,
      });
    case 'demo-hardware':
      return startProcess({
        name: part,
        entry: 'firmware-sim/main.ts',
        args: ['--station', DEMO_STATION, '--data', demo, '--links', demo],
        data_dir,
      });
    case 'demo-edge':
      return startProcess({
        name: part,
        entry: 'edge/main.ts',
        args: [],
        config: demoEdgeConfig(options, keys),
        data_dir,
      });
    case 'fleet':
      return startProcess({
        name: part,
        entry: 'firmware-sim/fleet/main.ts',
        args: [],
        config: await fleetConfig(options, keys),
        data_dir,
      });
    default:
      return part satisfies never;
  }
}

const EventKinds = z.looseObject({
  rows: z.array(z.looseObject({ kind: z.string(), summary: z.record(z.string(), z.unknown()) })),
});
const KEYS_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 100;
const FLEET_ASKED = 100;

/** By its newest word a station knows the key set and the status list: before that it opens for no card. */
async function hasKeys(cloud_url: string, station: string): Promise<boolean> {
  const answer = await fetch(`${cloud_url}/api/v1/stations/${station}/events?limit=100`);
  if (!answer.ok) return false;
  const newest = EventKinds.parse(await answer.json()).rows.find(
    ({ kind }) => kind === 'trust' || kind === 'snapshot',
  );
  return ['key_set_version', 'status_list_version'].every(
    (name) => Number(newest?.summary[name] ?? 0) > 0,
  );
}

/** Resolves when one of the stations would open its door for a card. Throws Fault UPLINK_LOST when none does in time. */
async function waitForKeys(options: StackOptions, stations: readonly string[]): Promise<void> {
  const cloud_url = cloudAddress(options);
  const end = performance.now() + KEYS_WITHIN_MS;
  while (stations.length > 0) {
    for (const station of stations) if (await hasKeys(cloud_url, station)) return;
    if (performance.now() > end) {
      const problem = 'the keys of the cards did not arrive';
      throw new Fault('UPLINK_LOST', { station: stations[0] ?? '', problem });
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

/** Starts every part in order of need; when one cannot start, the others are stopped and the reason is thrown. */
export async function startStack(options: StackOptions): Promise<Stack> {
  mkdirSync(options.data_dir, { recursive: true });
  const keys = localKeys(options.data_dir);
  const processes = new Map<string, LocalProcess>();
  let stopping = false;
  let tellBroken: (what: { name: string; end: number | string }) => void = () => {};
  const broken = new Promise<{ name: string; end: number | string }>((resolve) => {
    tellBroken = resolve;
  });
  const launch = async (part: StackPart) => {
    const started = await startPart(part, options, keys);
    processes.set(part, started);
    void started.ended.then((end) => {
      if (!stopping && processes.get(part) === started) tellBroken({ name: part, end });
    });
    return started;
  };
  const stop = async () => {
    stopping = true;
    // Stations first, so that they say goodbye while somebody listens.
    for (const group of [
      ['fleet', 'demo-edge'],
      ['demo-hardware', 'gateway', 'gateway-2'],
      ['cloud', 'cloud-2'],
    ]) {
      await Promise.all(
        group.map(async (name) => {
          await processes.get(name)?.stop();
        }),
      );
    }
  };
  const parts: StackPart[] = [
    'cloud',
    ...(options.second_cloud ? (['cloud-2'] as const) : []),
    'gateway',
    ...(options.gateways === 2 ? (['gateway-2'] as const) : []),
    'demo-hardware',
    'demo-edge',
    ...(options.station_codes.length > 0 ? (['fleet'] as const) : []),
  ];
  try {
    for (const part of parts) {
      options.progress(`starting ${part} …`);
      await launch(part);
    }
    await waitForKeys(options, [DEMO_STATION]);
    // The stations of the fleet share their keys: the first that is told them notes it.
    await waitForKeys(options, options.station_codes.slice(0, FLEET_ASKED));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    options,
    keys,
    url: cloudAddress(options),
    processes,
    restart: async (part) => {
      const old = processes.get(part);
      processes.delete(part);
      if (old) await old.stop();
      return launch(part);
    },
    broken,
    stop,
  };
}
