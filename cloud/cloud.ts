/** The cloud service put together: stores, province, server; started and stopped in one order. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '@waystation/runtime/clock';
import { readSecret } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { createAccess } from './accounts/access.ts';
import { loginRoute, sessionRoutes } from './accounts/routes.ts';
import { openCardKeys } from './cards/key-store.ts';
import { commandRoutes } from './commands/routes.ts';
import type { CloudConfig } from './config.ts';
import { openDatabase, type Database } from './database/open.ts';
import { gatewayLinkRoutes } from './gateway-link/routes.ts';
import { createIngest } from './ingest/ingest.ts';
import { liveRoutes } from './live/routes.ts';
import { createCardDesk, type CardDesk } from './members/cards.ts';
import { openPublishedTrust } from './members/published-trust.ts';
import { memberRoutes } from './members/routes.ts';
import { createMetrics } from './operations/metrics.ts';
import { cloudReadings } from './operations/readings.ts';
import { operationRoutes } from './operations/routes.ts';
import { organisationRoutes } from './organisations/routes.ts';
import { nextLife } from './peers/register.ts';
import { createProvince, type Province } from './province.ts';
import { seedShandong } from './seed/seed.ts';
import { buildServer, type ServerParts } from './server.ts';
import { loadDirectory, type Directory } from './stations/directory.ts';
import { stationRoutes } from './stations/routes.ts';
import { createTelemetryFeed } from './telemetry/feed.ts';
import { createInfluxTelemetry } from './telemetry/influx.ts';
import { createSqlTelemetry } from './telemetry/sql.ts';
import type { TelemetryStore } from './telemetry/store.ts';
import { usageRoutes } from './usage/routes.ts';

const INFLUX_TIMEOUT_MS = 5_000;
/** Requests in flight get this long; then their sockets are cut, so that the process ends within 5 s. */
const DRAIN_MS = 3_000;

export interface CloudOptions {
  config: CloudConfig;
  clock: Clock;
  log: Log;
  random: () => number;
  version: string;
}

export interface Cloud {
  readonly app: FastifyInstance;
  readonly database: Database;
  readonly province: Province;
  /** Begins to listen. Throws Fault PORT_IN_USE. */
  listen(): Promise<{ host: string; port: number }>;
  /** Stops accepting, drains, closes the stores. */
  stop(): Promise<void>;
}

/** What `openDatabase` takes. */
export function databaseUrl({ database, data_dir }: CloudConfig): string {
  return database === 'pglite' ? `pglite:${join(data_dir, 'database')}` : database;
}

function openTelemetry({ influx }: CloudConfig, database: Database): TelemetryStore {
  if (influx === undefined) return createSqlTelemetry(database.pool);
  const { url, flavour, organisation, username, password_file, token_file } = influx;
  return createInfluxTelemetry({
    url,
    flavour,
    database: influx.database,
    timeout_ms: INFLUX_TIMEOUT_MS,
    ...(organisation === undefined ? {} : { organisation }),
    ...(username === undefined ? {} : { username }),
    ...(password_file === undefined ? {} : { password: readSecret(password_file) }),
    ...(token_file === undefined ? {} : { token: readSecret(token_file) }),
  });
}

/**
 * Opens everything; nothing listens yet. `opened`: a database that is open already, closed with the rest.
 * Throws Fault CONFIG_*, DATABASE_*, MIGRATION_FAILED or CARD_KEY_INVALID.
 */
export async function openCloud(options: CloudOptions, opened?: Database): Promise<Cloud> {
  const { config, clock, log } = options;
  mkdirSync(config.data_dir, { recursive: true });
  const database = opened ?? (await openDatabase({ url: databaseUrl(config), clock, log }));
  try {
    if (config.seed.stations === 'shandong') {
      const stations = await seedShandong(database.db, config.seed.number);
      if (stations > 0) log('info', 'seed.written', { stations });
    }
    return await assemble(options, database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function assemble(options: CloudOptions, database: Database): Promise<Cloud> {
  const { config, clock, log, random, version } = options;
  const { db, pool } = database;
  const { alone } = database;
  const now_s = Math.floor(clock.wall() / 1000);
  const keys = await alone(async () => openCardKeys(config.keys_dir, now_s));
  const trust = await openPublishedTrust({ db, clock, keys, alone });
  const directory = await loadDirectory(db);
  const { live_connections } = config.limits;
  const province = createProvince({
    database,
    clock,
    log,
    version,
    directory,
    trust,
    live_connections,
    id: randomBytes(8).toString('hex'),
    life: await nextLife(db),
  });
  const store = openTelemetry(config, database);
  const feed = createTelemetryFeed({ store, pool, clock, log, random });
  const ingest = createIngest({
    database,
    telemetry: feed,
    clock,
    log,
    onCommitted: (batch) => province.committed(batch),
  });
  const metrics = createMetrics(cloudReadings({ ...province, ingest, feed }));
  const cards = createCardDesk({ db, clock, keys, trust });
  const app = await buildServer({
    ...serverOptions(options),
    ...features(options, { database, directory, province, cards, store }),
    observe: (...seen) => metrics.observe(...seen),
    gateway_link: gatewayLinkRoutes({
      token: readSecret(config.gateway_token_file),
      gateways: province.gateways,
      accept: (frames, gateway) => ingest.ingest(frames, gateway),
      report: (report) => province.report(report),
    }),
    operations: operationRoutes({ db, clock, metrics }),
  });
  await province.start();
  await feed.start();
  return {
    app,
    database,
    province,
    listen: () => listen(app, config),
    async stop() {
      const cut = clock.after(DRAIN_MS, () => app.server.closeAllConnections());
      await app.close();
      cut.stop();
      await ingest.stop();
      // After the last commit: its neighbours are told of it.
      await province.stop();
      await feed.stop();
      await database.close();
    },
  };
}

function serverOptions({ config, log, version }: CloudOptions) {
  const { behind_proxy, console_dir, limits } = config;
  const { requests_per_minute } = limits;
  return { log, version, behind_proxy, requests_per_minute, console_dir };
}

interface FeatureParts {
  database: Database;
  directory: Directory;
  province: Province;
  cards: CardDesk;
  store: TelemetryStore;
}

function features(
  { config, clock, version }: CloudOptions,
  { database, directory, province, cards, store }: FeatureParts,
): Pick<ServerParts, 'access' | 'open' | 'features'> {
  const { db } = database;
  const { hub, board, desk } = province;
  const access = createAccess({ db, clock, demo_visitor: config.demo_visitor });
  const { logins_per_minute } = config.limits;
  const accounts = { db, clock, access, version, logins_per_minute };
  const sequence = () => hub.sequence();
  return {
    access,
    open: [loginRoute(accounts)],
    features: [
      sessionRoutes(accounts),
      stationRoutes({ db, clock, access, directory, board, telemetry: store, sequence }),
      organisationRoutes({ db, access, directory, board }),
      usageRoutes({ db, clock, access }),
      commandRoutes({ desk, access }),
      liveRoutes({ hub, access, clock }),
      memberRoutes({ desk: cards, access, published: () => province.published() }),
    ],
  };
}

async function listen(
  app: FastifyInstance,
  { listen }: CloudConfig,
): Promise<{ host: string; port: number }> {
  try {
    await app.listen(listen);
  } catch (cause) {
    const busy = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    if (busy) throw new Fault('PORT_IN_USE', { ...listen }, cause);
    throw cause;
  }
  const address = app.server.address();
  return { host: listen.host, port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
}
