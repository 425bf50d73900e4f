/**
 * Stations behind an existing broker: this gateway is one of its clients (MQTT 5), the uplink shared among gateways.
 * The client library keeps and repeats nothing: one connection, one client, no queue for what could not be sent.
 */
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import {
  ackTopic,
  commandTopic,
  gatewayFilters,
  parseTopic,
  type ParsedTopic,
} from '@waystation/protocol/topics';
import type { StationCode } from '@waystation/protocol/station-code';
import { backoff, type BackoffLimits } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { Limits } from './config.ts';
import type { Counters } from './metrics.ts';
import { readPresence, type StationListener, type StationSide } from './station-side.ts';

export interface ExternalBrokerOptions {
  gateway: string;
  url: string;
  username: string;
  password: string;
  ca?: Buffer | undefined;
  group: string;
  limits: Pick<
    Limits,
    'publish_bytes_max' | 'unread_bytes_max' | 'stations_max' | 'connect_timeout_ms'
  >;
  clock: Clock;
  random: () => number;
  log: Log;
  counters: Counters;
  listener: StationListener;
  pauses: BackoffLimits;
}

const KEEPALIVE_S = 30;
/** Commands published and not yet acknowledged by the broker. */
const COMMANDS_IN_FLIGHT_MAX = 1_000;
const TOPICS_PER_STATION = 3;
const HEALTHY_MS = 10_000;

/** Connects and connects again for ever; an absent broker is an outage, not an error. */
export function joinBroker(options: ExternalBrokerOptions): StationSide {
  const { clock, counters, limits, listener } = options;
  const filters = gatewayFilters(options.group);
  const stopped = new AbortController();
  const outage = outageLog(options.log, clock, 'broker.lost', 'broker.restored');
  const topics = new Map<string, ParsedTopic | null>();
  let client: MqttClient | null = null;
  let commands_in_flight = 0;
  let deaf = false;

  const settings: IClientOptions = {
    protocolVersion: 5,
    clientId: `waystation-gateway-${options.gateway}`,
    username: options.username,
    password: options.password,
    clean: true,
    keepalive: KEEPALIVE_S,
    connectTimeout: limits.connect_timeout_ms,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  };

  function meaning(topic: string): ParsedTopic | null {
    let parsed = topics.get(topic);
    if (parsed === undefined) {
      if (topics.size >= TOPICS_PER_STATION * limits.stations_max) topics.clear();
      parsed = parseTopic(topic);
      topics.set(topic, parsed);
    }
    return parsed;
  }

  function received(topic: string, payload: Buffer): void {
    if (deaf) return;
    const target = meaning(topic);
    if (target?.name === 'uplink') {
      if (payload.length > limits.publish_bytes_max) counters.dropped_malformed += 1;
      else listener.uplink(target.station, target.stream, topic, payload);
    } else if (target?.name === 'state' && payload.length > 0) {
      const presence = readPresence(payload);
      if (presence === null) counters.presence_malformed += 1;
      else listener.presence(target.station, { input: 'published', presence });
    }
  }

  /** One connection from beginning to end. Rejects when it could not be made or was refused. */
  async function once(): Promise<void> {
    const connection = connect(options.url, settings);
    const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
    const lost = closed.then(() => Promise.reject(new Fault('GATEWAY_BROKER_LOST')));
    const cut = () => connection.end(true);
    stopped.signal.addEventListener('abort', cut);
    connection.on('error', (error) => outage.failed({ problem: String(error) }));
    connection.on('message', received);
    try {
      await Promise.race([new Promise((resolve) => connection.once('connect', resolve)), lost]);
      await Promise.race([connection.subscribeAsync(filters, { qos: 1 }), lost]);
      if (deaf) return;
      client = connection;
      counters.broker_connections += 1;
      outage.worked();
      await closed;
      if (!deaf) outage.failed({ problem: 'the connection was closed' });
    } finally {
      client = null;
      commands_in_flight = 0;
      stopped.signal.removeEventListener('abort', cut);
      connection.end(true);
    }
  }

  async function run(): Promise<void> {
    let pauses = backoff(options.random, options.pauses);
    while (!stopped.signal.aborted) {
      const began_at = clock.mono();
      await once().catch((error: unknown) => outage.failed({ problem: String(error) }));
      if (clock.mono() - began_at > HEALTHY_MS) pauses = backoff(options.random, options.pauses);
      await clock.sleep(pauses.next().value, stopped.signal);
    }
  }

  /** The connection, if it takes more. What it does not take now is dropped: nothing here waits. */
  function writable(): MqttClient | null {
    if (client === null || !client.connected) return null;
    return client.stream.writableLength > limits.unread_bytes_max ? null : client;
  }

  const running = run();
  return {
    sendAck(station: StationCode, ack) {
      const connection = writable();
      connection?.publish(ackTopic(station), JSON.stringify(ack), { qos: 0 });
      return connection !== null;
    },
    sendCommand(station: StationCode, command) {
      const connection = writable();
      if (connection === null || commands_in_flight >= COMMANDS_IN_FLIGHT_MAX) return false;
      commands_in_flight += 1;
      connection.publish(commandTopic(station), JSON.stringify(command), { qos: 1 }, () => {
        if (connection === client) commands_in_flight -= 1;
      });
      return true;
    },
    deafen() {
      deaf = true;
      // What the broker shares out from now on goes to the other gateways of the group.
      if (client?.connected) client.unsubscribe(filters, () => {});
    },
    async stop() {
      deaf = true;
      await client?.endAsync();
      stopped.abort();
      await running;
    },
    ready: () => client !== null && !deaf,
    ports: {},
    waiting: 0,
    get connections() {
      return client === null ? 0 : 1;
    },
  };
}
