/** The cloud service put together: stores, features, server; started and stopped in one order. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import type { Clock } from '@waystation/runtime/clock';
import { readSecret } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { createAccess } from './accounts/access.ts';
import { loginRoute, sessionRoutes } from './accounts/routes.ts';
import { openCardKeys } from './cards/key-store.ts';
import { createCommandDesk } from './commands/desk.ts';
import { commandRoutes } from './commands/routes.ts';
import type { CloudConfig } from './config.ts';
import { openDatabase, type Database } from './database/open.ts';
import { createGateways } from './gateway-link/gateways.ts';
import { applyPresence } from './gateway-link/presence.ts';
import { gatewayLinkRoutes } from './gateway-link/routes.ts';
import { catchUp, needOfBirth, trustCommands } from './gateway-link/trust.ts';
import type { CommittedBatch } from './ingest/batch.ts';
import { createIngest } from './ingest/ingest.ts';
import { createLiveHub, type LiveHub } from './live/hub.ts';
import { liveRoutes } from './live/routes.ts';
import { createCardDesk } from './members/cards.ts';
import { openPublishedTrust } from './members/published-trust.ts';
import { memberRoutes } from './members/routes.ts';
import { createMetrics } from './operations/metrics.ts';
import { cloudReadings } from './operations/readings.ts';
import { operationRoutes } from './operations/routes.ts';
import { organisationRoutes } from './organisations/routes.ts';
import { seedShandong } from './seed/seed.ts';
import { buildServer, type ServerParts } from './server.ts';
import { createStatusBoard } from './stations/board.ts';
import { loadDirectory, type Directory } from './stations/directory.ts';
import { eventLine } from './stations/event-line.ts';
import { stationRoutes } from './stations/routes.ts';
import { createStationWatch } from './stations/watch.ts';
import { createTelemetryFeed } from './telemetry/feed.ts';
import { createInfluxTelemetry } from './telemetry/influx.ts';
import { createSqlTelemetry } from './telemetry/sql.ts';
import type { TelemetryStore } from './telemetry/store.ts';
import { usageRoutes } from './usage/routes.ts';

const LIVE_KEPT_MAX = 10_000;
const LIVE_PENDING_BYTES_MAX = 512 * 1024;
const INFLUX_TIMEOUT_MS = 5_000;
const SWEEP_MS = 2_000;
const RENEW_MS = 6 * 3_600_000;
/** Requests in flight get this long; then sockets are cut, so that the process ends within 5 s. */
const DRAIN_MS = 3_500;

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
  /** Begins to listen. Throws Fault PORT_IN_USE. */
  listen(): Promise<{ host: string; port: number }>;
  /** Stops accepting, drains, closes the stores. */
  stop(): Promise<void>;
}

function databaseUrl({ database, data_dir }: CloudConfig): string {
  return database === 'pglite' ? `pglite:${join(data_dir, 'database')}` : database;
}

function openTelemetry({ influx }: CloudConfig, database: Database): TelemetryStore {
  if (influx === undefined) return createSqlTelemetry(database.pool);
  const {
    url,
    flavour,
    database: name,
    organisation,
    username,
    password_file,
    token_file,
  } = influx;
  return createInfluxTelemetry({
    url,
    flavour,
    database: name,
    timeout_ms: INFLUX_TIMEOUT_MS,
    ...(organisation === undefined ? {} : { organisation }),
    ...(username === undefined ? {} : { username }),
    ...(password_file === undefined ? {} : { password: readSecret(password_file) }),
    ...(token_file === undefined ? {} : { token: readSecret(token_file) }),
  });
}

/** Opens everything; nothing listens yet. `database`: an open one instead of the configured (tests). */
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
  const { db } = database;
  const now_s = Math.floor(clock.wall() / 1000);
  const keys = openCardKeys(config.keys_dir, now_s);
  const trust = await openPublishedTrust({ db, clock, keys });
  const directory = await loadDirectory(db);
  const hub = createLiveHub({
    directory,
    now: () => clock.wall(),
    version,
    first_sequence: clock.wall(),
    kept_max: LIVE_KEPT_MAX,
    connections_max: config.limits.live_connections,
    pending_bytes_max: LIVE_PENDING_BYTES_MAX,
  });
  const background = createBackground(log);
  const gateways = createGateways({
    clock,
    trustCommands: (need) => trustCommands(trust, need),
    moved: (gateway) => board.gatewayMoved(gateway),
    opened: (gateway) => background('gateway.resume', () => resume(gateway)),
  });
  const board = createStatusBoard({
    directory,
    now: () => clock.wall(),
    isGatewayHere: (gateway) => gateways.isHere(gateway),
  });
  const publish = hub.publish.bind(hub);
  const watch = createStationWatch({ db, directory, board, clock, log, publish });
  const desk = createCommandDesk({ db, clock, gateways, publish });
  const feed = createTelemetryFeed({
    store: openTelemetry(config, database),
    pool: database.pool,
    clock,
    log,
    random,
  });
  const ingest = createIngest({
    database,
    telemetry: feed,
    clock,
    log,
    onCommitted(batch) {
      watch.touch(batch.station_ids);
      publishEvents(batch, directory, hub);
      background('commands.announce', () => desk.announce(batch.command_ids));
    },
  });
  const presence = { taken: 0, late: 0, strangers: 0 };

  async function resume(gateway: string): Promise<void> {
    await desk.resend(gateway);
    await catchUp({ db, gateways, published: trust.versions(), gateway });
  }
  async function report(report: PresenceReport) {
    const result = await applyPresence(db, report);
    presence.taken += result.taken.length;
    presence.late += result.late;
    presence.strangers += result.strangers;
    watch.touch(result.taken.map(({ station_id }) => station_id));
    for (const { station, presence } of result.taken) {
      const need = needOfBirth(presence, trust.versions());
      if (need !== null) gateways.need(report.gateway, station, need);
    }
    return result;
  }
  const published = () =>
    background('trust.publish', () =>
      catchUp({ db, gateways, published: trust.versions(), gateway: 'all' }),
    );

  await watch.start();
  await feed.start();
  const access = createAccess({ db, clock, demo_visitor: config.demo_visitor });
  const metrics = createMetrics(cloudReadings({ ingest, feed, hub, gateways, presence }));
  const accounts = {
    db,
    clock,
    access,
    version,
    logins_per_minute: config.limits.logins_per_minute,
  };
  const server: ServerParts = {
    clock,
    log,
    version,
    behind_proxy: config.behind_proxy,
    requests_per_minute: config.limits.requests_per_minute,
    console_dir: config.console_dir,
    access,
    observe: (...seen) => metrics.observe(...seen),
    open: [loginRoute(accounts)],
    features: [
      sessionRoutes(accounts),
      stationRoutes({
        db,
        clock,
        access,
        directory,
        board,
        telemetry: feed.store,
        sequence: () => hub.sequence(),
      }),
      organisationRoutes({ db, access, directory, board }),
      usageRoutes({ db, clock, access }),
      commandRoutes({ desk, access }),
      liveRoutes({ hub, access, clock }),
      memberRoutes({ desk: createCardDesk({ db, clock, keys, trust }), access, published }),
    ],
    gateway_link: gatewayLinkRoutes({
      token: readSecret(config.gateway_token_file),
      gateways,
      accept: (frames, gateway) => ingest.ingest(frames, gateway),
      report,
    }),
    operations: operationRoutes({ db, metrics }),
  };
  const app = await buildServer(server);
  const timers = [
    clock.every(SWEEP_MS, () => background('commands.expire', () => desk.expire())),
    clock.every(RENEW_MS, () =>
      background('trust.renew', async () => {
        if (await trust.renew()) published();
      }),
    ),
  ];
  return {
    app,
    database,
    listen: () => listen(app, config),
    async stop() {
      timers.forEach((timer) => timer.stop());
      watch.stop();
      const cut = clock.after(DRAIN_MS, () => app.server.closeAllConnections());
      await app.close();
      cut.stop();
      await ingest.stop();
      await feed.stop();
      await database.close();
    },
  };
}

/** Runs what nobody waits for; a failure is told, and the next occasion tries again. */
function createBackground(log: Log) {
  return (event: string, work: () => Promise<unknown>): void => {
    work().catch((error: unknown) => {
      log('warn', `${event}.failed`, {
        problem: error instanceof Error ? error.message : String(error),
      });
    });
  };
}

/** What came in time is shown as it happens; a backlog that drains is history, not news. */
function publishEvents(batch: CommittedBatch, directory: Directory, hub: LiveHub): void {
  for (const { station, epoch, seq, at, received_at, band, record } of batch.events) {
    const place = directory.placeOf(station);
    const entry = place === undefined ? undefined : directory.entries[place];
    if (entry === undefined || (band !== 'live' && band !== 'grace')) continue;
    const event = eventLine({ station, epoch, seq, at, received_at }, record);
    hub.publish({ type: 'event', path: entry.path, event });
  }
}

async function listen(
  app: FastifyInstance,
  { listen }: CloudConfig,
): Promise<{ host: string; port: number }> {
  try {
    await app.listen(listen);
  } catch (cause) {
    const busy = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    if (busy) throw new Fault('PORT_IN_USE', { host: listen.host, port: listen.port }, cause);
    throw cause;
  }
  const { port } = app.server.address() as AddressInfo;
  return { host: listen.host, port };
}
