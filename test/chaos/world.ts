/** The world that is hurt: real stations, gateways, clouds and servers, every arrow between them through a proxy. */
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseStationCode, stationKind, type StationCode } from '@waystation/protocol/station-code';
import { mosquittoAcl } from '@waystation/protocol/topics';
import type { Clock } from '@waystation/runtime/clock';
import { signStationToken } from '@waystation/runtime/station-token';
import { localKeys, type LocalKeys } from '@waystation/scripts/local/keys';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { connectSimulator, type Simulator } from '@waystation/scripts/local/simulator';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startMosquitto, type TestMosquitto } from '../servers/mosquitto.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { freePort } from '../servers/process.ts';
import { someStations } from '../system/local-stack.ts';
import { mountDisk, type Disk } from './disk.ts';
import { fakedClock, type FakedClock } from './faked-clock.ts';
import { namesOf, type WorldSize } from './layout.ts';
import { nodePart, serverPart, type Part } from './part.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { createWiretap, type Wiretap } from './wiretap.ts';

const DISK_MIB = { edge: 8, postgres: 1_024, influxd: 256 } as const;
const OUTBOX_BUDGET_BYTES = 3 * 1024 * 1024;
const REPORT_MS = { busy: 1_000, hushed: 3_600_000 } as const;
const READY_WITHIN_MS = 60_000;
const BROKER_USER = 'gateways';
const BROKER_PASSWORD = 'only-for-tests';

export interface StationPlace {
  code: string;
  edge: string;
  simulator: Simulator;
  data_dir: string;
}

export interface World {
  readonly directory: string;
  readonly wiretap: Wiretap;
  readonly parts: ReadonlyMap<string, Part>;
  readonly proxies: ReadonlyMap<string, Proxy>;
  readonly disks: ReadonlyMap<string, Disk>;
  readonly clocks: ReadonlyMap<string, FakedClock>;
  readonly stations: readonly StationPlace[];
  readonly postgres: TestPostgres;
  readonly influxd: TestInfluxd;
  /** Of a cloud that is up; not through a proxy. */
  readonly api_url: string;
  /** From their next start on the stations report next to nothing, so that their streams can come to a stand. */
  hush(): void;
  /** Copies what the stations keep to where it outlives their disks. Returns the files. */
  keepOutboxes(): { code: string; path: string }[];
  stop(): Promise<void>;
}

interface Build {
  directory: string;
  size: WorldSize;
  clock: Clock;
  tell: (text: string) => void;
  /** Nothing is started again after it. */
  signal: AbortSignal;
  keys: LocalKeys;
  tokens: Map<string, string>;
  parts: Map<string, Part>;
  proxies: Map<string, Proxy>;
  disks: Map<string, Disk>;
  clocks: Map<string, FakedClock>;
  hushed: boolean;
  /** Undone in reverse order. */
  ends: (() => unknown)[];
}

export async function buildWorld(options: {
  directory: string;
  size: WorldSize;
  clock: Clock;
  tell: (text: string) => void;
  /** Nothing is started again after it. */
  signal: AbortSignal;
}): Promise<World> {
  const { directory } = options;
  mkdirSync(join(directory, 'logs'), { recursive: true });
  chmodSync(directory, 0o755); // PostgreSQL's own user passes through
  const build: Build = {
    ...options,
    keys: localKeys(directory),
    tokens: new Map(),
    parts: new Map(),
    proxies: new Map(),
    disks: new Map(),
    clocks: new Map(),
    hushed: false,
    ends: [],
  };
  const stop = async () => {
    for (const end of build.ends.toReversed()) await end();
    build.ends.length = 0;
  };
  try {
    return await furnish(build, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function furnish(build: Build, stop: () => Promise<void>): Promise<World> {
  const { directory, size } = build;
  const names = namesOf(size);
  const edges = [...names.broker_edges, ...names.door_edges];
  const codes = someStations(4 * edges.length)
    .map(parseStationCode)
    .filter((code) => code !== null && stationKind(code) === 'W')
    .slice(0, edges.length);
  for (const code of codes) if (code !== null) build.tokens.set(code, stationToken(build, code));
  const wiretap = createWiretap();
  const servers = await startServers(build);
  const cloud_ports = await startClouds(build, servers);
  const broker_url = await startGateways(build, servers.mosquitto, cloud_ports);
  const stations: StationPlace[] = [];
  for (const [at, edge] of edges.entries()) {
    const behind = names.broker_edges.includes(edge) ? 'mosquitto' : names.door_gateway;
    const proxy = await addProxy(build, `${edge}>${behind}`, [broker_url[behind] ?? 0], () =>
      wiretap.listen(),
    );
    stations.push(await startStation(build, codes[at] ?? '', edge, proxy.port));
  }
  return {
    directory,
    wiretap,
    parts: build.parts,
    proxies: build.proxies,
    disks: build.disks,
    clocks: build.clocks,
    stations,
    postgres: servers.postgres,
    influxd: servers.influxd,
    api_url: `http://127.0.0.1:${cloud_ports[0]}`,
    hush: () => {
      build.hushed = true;
    },
    keepOutboxes: () => keepOutboxes(directory, stations),
    stop,
  };
}

function stationToken({ keys, clock }: Build, station: StationCode): string {
  const key = createPrivateKey(readFileSync(keys.station_token_private_file));
  return signStationToken(key, { station, issued_at_s: Math.floor(clock.wall() / 1000) });
}

async function addProxy(
  build: Build,
  name: string,
  targets: readonly number[],
  tap?: () => (bytes: Buffer) => void,
): Promise<Proxy> {
  const proxy = await startProxy({
    clock: build.clock,
    targets: () => targets,
    ...(tap && { tap }),
  });
  build.proxies.set(name, proxy);
  build.ends.push(() => proxy.close());
  return proxy;
}

function addDisk(build: Build, name: string, size_mib: number): string {
  const disk = mountDisk(join(build.directory, 'disks', name), size_mib);
  build.disks.set(name, disk);
  build.ends.push(() => disk.unmount());
  return disk.path;
}

interface Servers {
  postgres: TestPostgres;
  influxd: TestInfluxd;
  mosquitto: TestMosquitto;
}

async function startServers(build: Build): Promise<Servers> {
  const { directory, clock, parts, ends } = build;
  const postgres_disk = addDisk(build, 'postgres', DISK_MIB.postgres);
  const postgres_home = join(postgres_disk, 'home');
  mkdirSync(postgres_home);
  const postgres = await startPostgres({ directory: postgres_home, max_wal_size: '192MB' });
  const influxd = await startInfluxd(addDisk(build, 'influxd', DISK_MIB.influxd));
  const mosquitto = await startMosquitto({
    accounts: { [BROKER_USER]: BROKER_PASSWORD, ...Object.fromEntries(build.tokens) },
    acl: mosquittoAcl(BROKER_USER),
  });
  const all = { postgres, influxd, mosquitto };
  for (const [name, server] of Object.entries(all)) {
    const graceful = name === 'postgres' ? 'SIGINT' : 'SIGTERM';
    parts.set(name, serverPart(name, server, graceful, clock, build.signal));
    ends.push(async () => {
      if (!server.ended) server.resume();
      await server.stop();
      writeFileSync(join(directory, 'logs', `${name}.log`), server.output);
    });
  }
  return all;
}

/** A process of ours: added to the parts, ended with the world. */
async function addPart(build: Build, name: string, launch: () => Promise<LocalProcess>) {
  const part = nodePart(name, launch, build.clock, build.tell, build.signal);
  build.parts.set(name, part);
  build.ends.push(async () => {
    part.thaw();
    await part.down('SIGTERM');
  });
  await part.up();
}

async function startClouds(build: Build, servers: Servers): Promise<number[]> {
  const { directory, size, keys } = build;
  const password_file = join(keys.directory, 'influx-password');
  writeFileSync(password_file, `${servers.influxd.password}\n`);
  const ports: number[] = [];
  for (const name of namesOf(size).clouds) {
    const port = await freePort();
    ports.push(port);
    const database = new URL(servers.postgres.url);
    const influx = new URL(servers.influxd.url);
    const to_database = await addProxy(build, `${name}>postgres`, [Number(database.port)]);
    const to_influx = await addProxy(build, `${name}>influxd`, [Number(influx.port)]);
    database.port = String(to_database.port);
    influx.port = String(to_influx.port);
    const { username } = servers.influxd;
    const config = {
      listen: { host: '127.0.0.1', port },
      data_dir: join(directory, name),
      database: database.href,
      influx: {
        flavour: 1,
        url: influx.origin,
        database: servers.influxd.database,
        username,
        password_file,
      },
      gateway_token_file: keys.gateway_token_file,
      keys_dir: keys.directory,
      demo_visitor: true,
      seed: { stations: 'shandong' },
    };
    const program = {
      name,
      entry: 'cloud/main.ts',
      args: [],
      config,
      data_dir: directory,
      own_group: true,
    };
    await addPart(build, name, () =>
      startProcess({ ...program, ready_within_ms: READY_WITHIN_MS }),
    );
  }
  return ports;
}

/** Returns the port of each way in for stations. */
async function startGateways(
  build: Build,
  mosquitto: TestMosquitto,
  clouds: readonly number[],
): Promise<Record<string, number>> {
  const { directory, keys, size } = build;
  const names = namesOf(size);
  const password_file = join(keys.directory, 'broker-password');
  writeFileSync(password_file, `${BROKER_PASSWORD}\n`);
  const door_port = await freePort();
  for (const name of [...names.broker_gateways, names.door_gateway]) {
    const to_cloud = await addProxy(build, `${name}>cloud`, clouds);
    const way =
      name === names.door_gateway
        ? { listen: { mqtt: { host: '127.0.0.1', port: door_port } } }
        : {
            broker: {
              url: `mqtt://127.0.0.1:${(await addProxy(build, `${name}>mosquitto`, [mosquitto.port])).port}`,
              username: BROKER_USER,
              password_file,
            },
          };
    const config = {
      id: name,
      ...way,
      cloud: { url: `http://127.0.0.1:${to_cloud.port}`, token_file: keys.gateway_token_file },
      station_key_file: keys.station_token_public_file,
      http: { host: '127.0.0.1', port: 0 },
    };
    const program = {
      name,
      entry: 'gateway/main.ts',
      args: [],
      config,
      data_dir: directory,
      own_group: true,
    };
    await addPart(build, name, () =>
      startProcess({ ...program, ready_within_ms: READY_WITHIN_MS }),
    );
  }
  return { mosquitto: mosquitto.port, [names.door_gateway]: door_port };
}

async function startStation(
  build: Build,
  code: string,
  edge: string,
  gateway_port: number,
): Promise<StationPlace> {
  const { directory, clocks, keys, ends, tokens } = build;
  const home = join(directory, edge);
  mkdirSync(home, { recursive: true });
  const hardware = await startProcess({
    name: `${edge}-hardware`,
    entry: 'firmware-sim/main.ts',
    args: ['--station', code, '--data', home, '--links', home],
    data_dir: directory,
    own_group: true,
  });
  ends.push(() => hardware.stop());
  const simulator = await connectSimulator(join(home, 'simulator.sock'));
  ends.push(() => simulator.close());
  const password_file = join(home, 'station.token');
  writeFileSync(password_file, `${tokens.get(code) ?? ''}\n`);
  const data_dir = addDisk(build, edge, DISK_MIB.edge);
  const faked = fakedClock(join(home, 'wall-clock'));
  clocks.set(edge, faked);
  const config = {
    station: code,
    data_dir,
    gateway: { url: `mqtt://127.0.0.1:${gateway_port}`, password_file },
    field_bus: { path: join(home, 'field-bus'), baud: 115_200 },
    reader: { path: join(home, 'reader'), baud: 115_200 },
    trust: { root_keys_file: keys.root_keys_file },
    clock: { source: 'host' },
    // No word at the reader without a line in the journal, a full disk included: so that the audit may insist.
    door: { journal_failure: 'fail_closed' },
    outbox: { disk_budget_bytes: OUTBOX_BUDGET_BYTES },
  };
  await addPart(build, edge, () => {
    const every_ms = REPORT_MS[build.hushed ? 'hushed' : 'busy'];
    const report = {
      heartbeat_ms: every_ms,
      interval_min_ms: every_ms,
      sensor_settle_ms: REPORT_MS.busy,
    };
    return startProcess({
      name: edge,
      entry: 'edge/main.ts',
      args: [],
      config: { ...config, report },
      data_dir: directory,
      own_group: true,
      env: faked.env,
      ready_within_ms: READY_WITHIN_MS,
    });
  });
  return { code, edge, simulator, data_dir };
}

function keepOutboxes(directory: string, stations: readonly StationPlace[]) {
  return stations.map(({ code, edge, data_dir }) => {
    const home = join(directory, 'outboxes', edge);
    mkdirSync(home, { recursive: true });
    for (const name of ['outbox.db', 'outbox.db-wal'])
      if (existsSync(join(data_dir, name))) copyFileSync(join(data_dir, name), join(home, name));
    return { code, path: join(home, 'outbox.db') };
  });
}
