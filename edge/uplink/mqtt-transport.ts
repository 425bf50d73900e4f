/**
 * The uplink over MQTT 3.1.1 with mqtt.js: a fresh client for every session, all of its own retrying and storing
 * switched off. What comes down is parsed strictly; what does not fit is counted, logged and forgotten.
 */
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { z } from 'zod';
import { Command, COMMAND_BYTES_MAX } from '@waystation/protocol/commands';
import type { StationCode } from '@waystation/protocol/station-code';
import {
  ackTopic,
  commandTopic,
  stateTopic,
  TOPICS,
  uplinkTopic,
} from '@waystation/protocol/topics';
import { Ack, type StationPresence } from '@waystation/protocol/uplink';
import type { Clock } from '@waystation/runtime/clock';
import { firstIssue } from '@waystation/runtime/config';
import { Fault, isFault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { UplinkSession, UplinkTransport } from '../ports.ts';

export interface MqttTransportOptions {
  /** mqtt://host:port or mqtts://host:port */
  url: string;
  station: StationCode;
  /** The station's token, read anew for every session so that it can be renewed without a restart. */
  password: () => string;
  clock: Clock;
  log: Log;
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer };
  keepalive_s?: number;
  connect_timeout_ms?: number;
}

type Birth = Extract<StationPresence, { state: 'online' }>;

const KEEPALIVE_S = 30;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long a goodbye may take before the socket is cut. */
const GOODBYE_MS = 2_000;
const ACK_BYTES_MAX = 1024;
/** Commands not yet journalled; what comes beyond stays with the broker. */
const COMMANDS_HELD_MAX = 64;
/** CONNACK return codes 4 and 5 (MQTT 3.1.1, 3.2.2.3): bad user name or password, not authorised. 2: client id rejected. */
const REFUSED_CODES = new Set([2, 4, 5]);

/** What went wrong, in three words an operator can act on. `facts.reason` keeps the library's own. */
export function uplinkFault(error: unknown): Fault {
  if (isFault(error)) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const reason = error instanceof Error ? error.message : String(error);
  const facts = {
    code: typeof code === 'number' || typeof code === 'string' ? code : 'none',
    reason,
  };
  if (typeof code === 'number' && REFUSED_CODES.has(code))
    return new Fault('UPLINK_REFUSED', facts, error);
  // The gateway's certificate is judged by our clock; ours is judged by the gateway, which answers with an alert.
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED')
    return new Fault('UPLINK_CLOCK', facts, error);
  const tls = typeof code === 'string' && /^ERR_(SSL|TLS)_|CERT|_SIGNATURE$|^HOSTNAME/.test(code);
  return new Fault(tls ? 'UPLINK_REFUSED' : 'UPLINK_LOST', facts, error);
}

export function mqttTransport(options: MqttTransportOptions): UplinkTransport {
  return { connect: (birth) => openSession(options, birth) };
}

function clientOptions(options: MqttTransportOptions, birth: Birth): IClientOptions {
  const death: StationPresence = { state: 'offline', session: birth.session, clean: false };
  return {
    protocolVersion: 4,
    clientId: options.station,
    username: options.station,
    password: options.password(),
    clean: false, // a command whose PUBACK was held back comes again in the next session
    keepalive: options.keepalive_s ?? KEEPALIVE_S,
    connectTimeout: options.connect_timeout_ms ?? CONNECT_TIMEOUT_MS,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    will: {
      topic: stateTopic(options.station),
      payload: Buffer.from(JSON.stringify(death)),
      qos: TOPICS.state.qos,
      retain: true,
    },
    ...options.tls,
  };
}

async function openSession(options: MqttTransportOptions, birth: Birth): Promise<UplinkSession> {
  const client = connect(options.url, clientOptions(options, birth));
  const session = createSession(client, options, birth);
  const deadline = new AbortController();
  const late = options.clock
    .sleep(options.connect_timeout_ms ?? CONNECT_TIMEOUT_MS, deadline.signal)
    .then(() => {
      if (!deadline.signal.aborted) throw new Fault('UPLINK_LOST', { reason: 'no answer in time' });
    });
  try {
    await Promise.race([session.opened, late]);
    return session;
  } catch (error) {
    client.end(true);
    throw uplinkFault(error);
  } finally {
    deadline.abort();
  }
}

/** Connect, subscribe, birth: in this order, so that no acknowledgement of this session can be missed. */
async function introduce(client: MqttClient, station: StationCode, birth: Birth): Promise<void> {
  const granted = await client.subscribeAsync({
    [ackTopic(station)]: { qos: TOPICS.ack.qos },
    [commandTopic(station)]: { qos: TOPICS.command.qos },
  });
  const refused = granted.find(({ qos }) => qos === 128);
  if (refused)
    throw new Fault('UPLINK_REFUSED', { reason: 'subscription refused', topic: refused.topic });
  await client.publishAsync(stateTopic(station), JSON.stringify(birth), {
    qos: TOPICS.state.qos,
    retain: true,
  });
}

function createSession(
  client: MqttClient,
  options: MqttTransportOptions,
  birth: Birth,
): UplinkSession & { opened: Promise<void> } {
  const { station, log, clock } = options;
  let last_error: unknown = null;
  let closed: string | null = null;
  let ackListener: (ack: Ack) => void = () => {};
  let closedListener: (reason: string) => void = () => {};
  const commands = createMailbox<Command>();

  /** Answers the broker by itself: the four bytes of PUBACK (MQTT 3.1.1, 3.4), when the command is journalled. */
  const receiveCommand = async (payload: Buffer, message_id: number): Promise<void> => {
    const command = parsePayload(Command, payload, COMMAND_BYTES_MAX, commandTopic(station), log);
    try {
      if (command) await commands.deliver(command);
      if (!client.stream.destroyed)
        client.stream.write(Buffer.from([0x40, 2, message_id >> 8, message_id & 0xff]));
    } catch (error) {
      log('error', 'uplink.command_failed', { reason: String(error) }); // the broker keeps it for the next session
    }
  };

  client.handleMessage = (packet, done) => {
    const payload = Buffer.from(packet.payload);
    if (packet.topic === commandTopic(station) && packet.qos === 1) {
      // An error here only withholds the library's PUBACK. Holding `done` itself would stop everything behind it, pings too.
      done(new Error('acknowledged when journalled'));
      void receiveCommand(payload, packet.messageId ?? 0);
      return;
    }
    if (packet.topic === ackTopic(station)) {
      const ack = parsePayload(Ack, payload, ACK_BYTES_MAX, packet.topic, log);
      if (ack) ackListener(ack);
    } else {
      log('warn', 'uplink.unexpected_topic', {
        topic: packet.topic.slice(0, 100),
        qos: packet.qos,
      });
    }
    done();
  };

  const opened = new Promise<void>((resolve, reject) => {
    client.on('error', (error) => {
      last_error = error;
      reject(error);
    });
    client.on('close', () => {
      if (closed !== null) return;
      closed = last_error === null ? 'connection closed' : uplinkFault(last_error).message;
      reject(last_error ?? new Fault('UPLINK_LOST', { reason: closed }));
      closedListener(closed);
    });
    client.on('connect', () => void introduce(client, station, birth).then(resolve, reject));
  });

  return {
    opened,
    send: (stream, message) =>
      void client.publish(uplinkTopic(station, stream), JSON.stringify(message), {
        qos: TOPICS.uplink.qos,
      }),
    onAck: (listener) => void (ackListener = listener),
    onCommand: (listener) => commands.open(listener),
    onClosed(listener) {
      closedListener = listener;
      if (closed !== null) listener(closed);
    },
    async end() {
      closedListener = () => {};
      const goodbye: StationPresence = { state: 'offline', session: birth.session, clean: true };
      const said = client.connected
        ? client.publishAsync(stateTopic(station), JSON.stringify(goodbye), {
            qos: TOPICS.state.qos,
            retain: true,
          })
        : Promise.resolve();
      const done = new AbortController();
      await Promise.race([said.catch(() => {}), clock.sleep(GOODBYE_MS, done.signal)]);
      done.abort();
      await client.endAsync(!client.connected).catch(() => {}); // gone is gone
    },
  };
}

/** Holds what comes before the listener does: a kept session delivers its commands at once. */
function createMailbox<T>() {
  let open: (listener: (item: T) => Promise<void>) => void = () => {};
  let held = 0;
  const listening = new Promise<(item: T) => Promise<void>>((resolve) => (open = resolve));
  return {
    open: (listener: (item: T) => Promise<void>) => open(listener),
    async deliver(item: T): Promise<void> {
      if (held === COMMANDS_HELD_MAX)
        throw new Fault('COMMAND_REFUSED', { reason: 'too many commands wait', held });
      held += 1;
      try {
        await (
          await listening
        )(item);
      } finally {
        held -= 1;
      }
    },
  };
}

function parsePayload<S extends z.ZodType>(
  schema: S,
  payload: Buffer,
  bytes_max: number,
  topic: string,
  log: Log,
): z.output<S> | null {
  if (payload.length > bytes_max) {
    log('warn', 'uplink.rejected', {
      topic,
      field: '(root)',
      problem: `${payload.length} bytes, at most ${bytes_max}`,
    });
    return null;
  }
  let json: unknown;
  try {
    json = JSON.parse(payload.toString('utf8'));
  } catch {
    log('warn', 'uplink.rejected', { topic, field: '(root)', problem: 'not JSON' });
    return null;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  log('warn', 'uplink.rejected', { topic, ...firstIssue(parsed.error) });
  return null;
}
