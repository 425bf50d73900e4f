/** A gateway put together: stations on one side, the cloud on the other, and nothing kept in between. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Clock } from '@waystation/runtime/clock';
import { readSecret } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import { outageLog, type Log } from '@waystation/runtime/log';
import { verifyStationToken } from '@waystation/runtime/station-token';
import { createBatcher, type BatcherOptions } from './batcher.ts';
import { createBreaker } from './breaker.ts';
import { startBroker } from './broker.ts';
import { createCloudClient } from './cloud-client.ts';
import { startCommandFlow } from './commands.ts';
import type { GatewayConfig } from './config.ts';
import { joinBroker } from './external-broker.ts';
import { startHealth } from './health.ts';
import { createCounters, prometheusText, type Counters } from './metrics.ts';
import { createPresenceReporter } from './presence-reporter.ts';
import type { StationListener, StationSide } from './station-side.ts';

export interface GatewayContext {
  clock: Clock;
  random: () => number;
  log: Log;
}

export interface Gateway {
  readonly ports: Record<string, number>;
  readonly counters: Readonly<Counters>;
  /** Hears nothing more, waits for posts in flight and sends their acknowledgements, then closes. */
  stop(): Promise<void>;
}

const PAUSES = { first_ms: 250, max_ms: 10_000 };
const PRESENCE_COLLECT_MS = 200;

function readKey(path: string): KeyObject {
  try {
    const key = createPublicKey(readFileSync(path));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path }, cause);
  }
  throw new Fault('CONFIG_INVALID', {
    source: path,
    field: 'station_key_file',
    problem: 'not an Ed25519 key',
  });
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path }, cause);
  }
}

/** Opens the side that faces the stations. */
async function openStationSide(
  config: GatewayConfig,
  context: GatewayContext & { counters: Counters; listener: StationListener },
): Promise<StationSide> {
  const { listen, broker, limits } = config;
  if (broker !== undefined) {
    return joinBroker({
      ...broker,
      ...context,
      gateway: config.id,
      password: readSecret(broker.password_file),
      ca: broker.ca_file === undefined ? undefined : readFile(broker.ca_file),
      limits,
      pauses: PAUSES,
    });
  }
  const key = readKey(config.station_key_file ?? '');
  const { mqtts } = listen ?? {};
  return startBroker({
    gateway: config.id,
    doors: {
      mqtt: listen?.mqtt,
      mqtts: mqtts && {
        ...mqtts,
        cert: readFile(mqtts.cert_file),
        key: readFile(mqtts.key_file),
        client_ca: mqtts.client_ca_file === undefined ? undefined : readFile(mqtts.client_ca_file),
      },
    },
    limits,
    ...context,
    mayEnter(station, password) {
      const now_s = Math.floor(context.clock.wall() / 1000);
      const verdict = verifyStationToken(key, password, now_s);
      return verdict.valid && verdict.claims.station === station;
    },
  });
}

/** The way to the cloud: posts, presence, and whether they arrive. */
function openCloudSide(
  config: GatewayConfig,
  context: GatewayContext & { counters: Counters; onAck: BatcherOptions['onAck'] },
) {
  const { clock, random, log, counters, onAck } = context;
  const { limits } = config;
  const cloud = createCloudClient({
    ...config.cloud,
    clock,
    token: readSecret(config.cloud.token_file),
    gateway: config.id,
    group: config.broker?.group,
    // One for events, one for presence.
    connections_max: limits.posts_in_flight_max + 2,
    post_timeout_ms: limits.post_timeout_ms,
  });
  const breaker = createBreaker(random, PAUSES);
  const told = outageLog(log, clock, 'cloud.lost', 'cloud.restored');
  const outage = {
    failed: (cause: unknown) => told.failed({ problem: String(cause) }),
    worked: () => told.worked(),
  };
  const post = (body: Uint8Array) => cloud.postUplink(body);
  const batcher = createBatcher({ limits, clock, counters, breaker, post, onAck, outage });
  const presence = createPresenceReporter({
    gateway: config.broker?.group ?? config.id,
    clock,
    random,
    counters,
    stations_max: limits.stations_max,
    collect_ms: PRESENCE_COLLECT_MS,
    pauses: PAUSES,
    post: (report) => cloud.postPresence(report),
  });
  return { cloud, breaker, batcher, presence };
}

/** Starts everything. Throws Fault CONFIG_* or GATEWAY_LISTEN; an absent cloud or broker is waited for. */
export async function startGateway(
  config: GatewayConfig,
  context: GatewayContext,
): Promise<Gateway> {
  const counters = createCounters();
  let opened: StationSide | null = null;
  const { cloud, breaker, batcher, presence } = openCloudSide(config, {
    ...context,
    counters,
    onAck(station, ack) {
      if (opened?.sendAck(station, ack)) counters.acks += 1;
      else counters.acks_undeliverable += 1;
    },
  });
  const listener: StationListener = {
    uplink: (...message) => batcher.offer(...message),
    presence: (station, event) => presence.note(station, event),
  };
  const stations = await openStationSide(config, { ...context, counters, listener });
  opened = stations;
  const commands = startCommandFlow({ ...context, cloud, stations, counters, pauses: PAUSES });
  const health = await startHealth({
    ...config.http,
    ready: () => ({ stations: stations.ready(), cloud: commands.open && breaker.state !== 'open' }),
    metrics: () =>
      prometheusText(counters, {
        connections: stations.connections,
        connections_waiting: stations.waiting,
        stations_online: presence.online,
        presence_unreported: presence.unreported,
        pending_bytes: batcher.pending_bytes,
        posts_in_flight: batcher.posts_in_flight,
      }),
  });
  return {
    ports: { ...stations.ports, http: health.port },
    counters,
    async stop() {
      stations.deafen();
      await Promise.all([presence.stop(), commands.stop(), batcher.stop()]);
      await stations.stop();
      await health.stop();
      cloud.close();
    },
  };
}
