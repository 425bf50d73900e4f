/**
 * The MQTT front door: Aedes behind plain TCP and TLS, with every bound it does not have itself.
 * It routes nothing: what a station publishes goes to the listener, what goes down is written to one connection.
 */
import { strict as assert } from 'node:assert';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  Aedes,
  type Client,
  type ConnectPacket,
  type PublishPacket,
  type Subscription,
} from 'aedes';
import { ackTopic, commandTopic } from '@waystation/protocol/topics';
import { parseStationCode, type StationCode } from '@waystation/protocol/station-code';
import type { Command } from '@waystation/protocol/commands';
import type { Ack } from '@waystation/protocol/uplink';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { Limits } from './config.ts';
import { certificateOf, openDoors, type DoorOptions, type Doors } from './doors.ts';
import type { Counters } from './metrics.ts';
import { createPacketMeter, type MeterRefusal } from './packet-meter.ts';
import { publishQos0 } from './publish-packet.ts';
import { createBucket, type Bucket } from './rate.ts';
import { judgePublish, rightsOf, type Session } from './session.ts';
import { deafEmitter, noPersistence } from './stateless.ts';
import { readPresence, type StationListener, type StationSide } from './station-side.ts';

export interface BrokerOptions {
  gateway: string;
  doors: Pick<DoorOptions, 'mqtt' | 'mqtts'>;
  limits: Limits;
  clock: Clock;
  log: Log;
  counters: Counters;
  listener: StationListener;
  /** Is this the station's password? */
  mayEnter(station: StationCode, password: string): boolean;
}

/** Return codes of CONNACK (MQTT 3.1.1, 3.2.2.3). */
const UNACCEPTABLE_LEVEL = 1;
const IDENTIFIER_REJECTED = 2;
const SERVER_UNAVAILABLE = 3;
const BAD_CREDENTIAL = 4;
const NOT_AUTHORIZED = 5;

/** Fixed header and topic of a PUBLISH, besides its payload. */
const PUBLISH_HEADER_BYTES = 128;
/** CONNECT with user name, token and will; SUBSCRIBE to two topics. */
const CONTROL_BYTES_MAX = 4096;
const PACKETS_BEFORE_CONNACK_MAX = 64;
const HOUR_MS = 3_600_000;

type ConnectRefusal = Fault & { returnCode: number };

const ignore = () => {};

class Broker implements StationSide {
  readonly #options: BrokerOptions;
  readonly #sessions = new Map<StationCode, Session>();
  readonly #session_of = new WeakMap<Client, Session>();
  readonly #greeted = new WeakMap<Client, () => void>();
  readonly #foreign_will = new WeakSet<Client>();
  readonly #refusals: Bucket;
  readonly #aedes: Aedes;
  #doors: Doors | null = null;
  #deaf = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#refusals = createBucket({ per_s: 2, burst: 20 }, options.clock.mono());
    this.#aedes = new Aedes({
      id: options.gateway,
      mq: deafEmitter(),
      persistence: noPersistence(),
      // Bookkeeping between brokers of a cluster, which this is not.
      heartbeatInterval: HOUR_MS,
      // The second line: `#serve` ends such a connection itself and counts it.
      connectTimeout: options.limits.connect_timeout_ms + 1_000,
      drainTimeout: options.limits.drain_timeout_ms,
      queueLimit: PACKETS_BEFORE_CONNACK_MAX,
      maxClientsIdLength: 23,
      // The most it can count: a filter of more levels ends the connection instead of getting 0x80.
      maxTopicLevels: 100,
      maxInflightInbound: 1,
      preConnect: (client, packet, done) => this.#preConnect(client, packet, done),
      authenticate: (client, name, password, done) => {
        const refusal = this.#authenticate(client, name ?? '', password?.toString('utf8') ?? '');
        done(refusal, refusal === null);
      },
      authorizePublish: (client, packet, done) => this.#published(client, packet, done),
      authorizeSubscribe: (client, subscription, done) =>
        done(null, this.#subscribed(client, subscription) ? subscription : null),
    });
    this.#aedes.on('unsubscribe', (filters, client) => {
      const session = this.#session_of.get(client);
      for (const filter of filters) {
        const heard = session?.rights.subscribe.get(filter);
        if (heard !== undefined) session?.hears.delete(heard);
      }
    });
  }

  async start(): Promise<void> {
    await this.#aedes.listen();
    const { doors, limits, clock, counters } = this.#options;
    this.#doors = await openDoors({
      ...doors,
      connections_max: limits.connections_max,
      greetings_max: limits.greetings_max,
      handshake_timeout_ms: limits.connect_timeout_ms,
      clock,
      counters,
      serve: (socket, greeted) => this.#serve(socket, greeted),
    });
  }

  /** Hands the socket to Aedes, which reads it by `read()` alone: so nothing gets to its parser that the meter refused. */
  #serve(socket: Socket, greeted: () => void): void {
    const { clock, counters, limits } = this.#options;
    const client = this.#aedes.handle(socket);
    this.#greeted.set(client, greeted);
    const meter = createPacketMeter({
      control_bytes_max: CONTROL_BYTES_MAX,
      publish_bytes_max: limits.publish_bytes_max + PUBLISH_HEADER_BYTES,
      publish_header_bytes_max: PUBLISH_HEADER_BYTES,
    });
    const rate = { per_s: limits.controls_per_s, burst: 4 * limits.controls_per_s };
    const bucket = createBucket(rate, clock.mono());
    let controls = 0;
    const read = socket.read.bind(socket);
    socket.read = (bytes?: number): Buffer | null => {
      const chunk: unknown = read(bytes);
      if (!Buffer.isBuffer(chunk)) return null;
      const admitted = meter.feed(chunk);
      if (typeof admitted === 'string') {
        this.#refuse(socket, client, admitted);
        return null;
      }
      const debt_ms = bucket.spend(meter.controls - controls, clock.mono());
      const flooded = meter.controls > controls && debt_ms > 0;
      controls = meter.controls;
      if (flooded) {
        counters.refused_control_rate += 1;
        socket.destroy();
        return null;
      }
      return admitted === chunk.length ? chunk : chunk.subarray(0, admitted);
    };
    const deadline = clock.after(limits.connect_timeout_ms, () => {
      if (this.#session_of.has(client)) return;
      counters.refused_connect_timeout += 1;
      socket.destroy();
    });
    socket.once('close', () => {
      deadline.stop();
      this.#ended(client);
    });
  }

  #refuse(socket: Socket, client: Client, refusal: MeterRefusal): void {
    const { counters } = this.#options;
    if (refusal === 'publishTooLong') counters.refused_size += 1;
    else counters.refused_protocol += 1;
    this.#logRefusal(refusal, this.#session_of.get(client)?.station ?? '');
    if (refusal === 'level') socket.write(Uint8Array.of(0x20, 2, 0, UNACCEPTABLE_LEVEL));
    if (refusal === 'emptyId') socket.write(Uint8Array.of(0x20, 2, 0, IDENTIFIER_REJECTED));
    socket.destroy();
  }

  #preConnect(
    client: Client,
    packet: ConnectPacket,
    done: (error: null, ok: boolean) => void,
  ): void {
    // No session outlives its connection here, whatever the station asks for (CONNACK says so: session present 0).
    packet.clean = true;
    // A server may end an idle connection whatever its keep-alive says (3.1.2.10), and a dead line must be found.
    const { keepalive_max_s } = this.#options.limits;
    const asked_s = packet.keepalive ?? 0;
    packet.keepalive = asked_s === 0 ? keepalive_max_s : Math.min(asked_s, keepalive_max_s);
    const { will } = packet;
    const station = parseStationCode(packet.username ?? '');
    if (will !== undefined && station !== null) {
      const { topic, qos = 0, retain = false, payload } = will;
      const judged = judgePublish(rightsOf(station), { topic, qos, retain, payload }, 0);
      const presence = judged.verdict === 'state' ? readPresence(payload) : null;
      if (presence?.state !== 'offline') this.#foreign_will.add(client);
    }
    done(null, true);
  }

  #authenticate(client: Client, user_name: string, password: string): ConnectRefusal | null {
    const { counters } = this.#options;
    const refuse = (returnCode: number, why: string): ConnectRefusal => {
      this.#logRefusal(why, parseStationCode(user_name) ?? '');
      return Object.assign(new Fault('NOT_AUTHENTICATED', { why }), { returnCode });
    };
    if (this.#deaf) return refuse(SERVER_UNAVAILABLE, 'stopping');
    // Gone between its CONNECT and this: it must not take over from a connection that lives.
    if (client.conn.destroyed) return refuse(SERVER_UNAVAILABLE, 'gone');
    const station = parseStationCode(user_name);
    const certificate = certificateOf(client.conn);
    if (certificate.kind === 'untrusted') {
      counters.refused_certificate += 1;
      return refuse(BAD_CREDENTIAL, `certificate: ${certificate.problem}`);
    }
    if (certificate.kind === 'trusted' && certificate.name !== station) {
      counters.refused_certificate += 1;
      return refuse(BAD_CREDENTIAL, 'certificate of another station');
    }
    const known = certificate.kind === 'trusted';
    if (station === null || !(known || this.#options.mayEnter(station, password))) {
      counters.refused_credential += 1;
      return refuse(BAD_CREDENTIAL, 'credential');
    }
    if (client.id !== station) {
      counters.refused_credential += 1;
      return refuse(IDENTIFIER_REJECTED, 'the client id is not the station code');
    }
    if (this.#foreign_will.has(client)) {
      counters.refused_will += 1;
      return refuse(NOT_AUTHORIZED, 'the last will is not the death of this station');
    }
    this.#begin(station, client);
    return null;
  }

  #begin(station: StationCode, client: Client): void {
    const { clock, counters, limits } = this.#options;
    const previous = this.#sessions.get(station);
    const now = clock.mono();
    const rate = (per_s: number) => createBucket({ per_s, burst: 2 * per_s }, now);
    const session: Session = {
      station,
      client,
      rights: rightsOf(station),
      messages: rate(limits.messages_per_s),
      bytes: rate(limits.bytes_per_s),
      hears: new Set(),
      presence_session: null,
      held: [],
    };
    counters.sessions += 1;
    this.#sessions.set(station, session);
    this.#session_of.set(client, session);
    this.#greeted.get(client)?.();
    if (previous !== undefined) {
      // Its will goes out within this call, before the birth of the new session can.
      counters.takeovers += 1;
      previous.client.close();
    }
  }

  #ended(client: Client): void {
    const session = this.#session_of.get(client);
    if (session === undefined) return;
    const { station, presence_session } = session;
    if (this.#sessions.get(station) === session) this.#sessions.delete(station);
    if (presence_session !== null && !this.#deaf) {
      this.#options.listener.presence(station, { input: 'closed', session: presence_session });
    }
  }

  #published(client: Client | null, packet: PublishPacket, done: (error?: Error) => void): void {
    const { counters, limits, listener } = this.#options;
    const session = client === null ? undefined : this.#session_of.get(client);
    if (session === undefined) return done(new Fault('NOT_AUTHENTICATED'));
    const judged = judgePublish(session.rights, packet, limits.publish_bytes_max);
    if (judged.verdict === 'refused') {
      counters.refused_publish += 1;
      this.#logRefusal(`publish: ${judged.reason}`, session.station);
      return done(new Fault('FORBIDDEN', { publish: judged.reason }));
    }
    if (this.#deaf) return done();
    if (judged.verdict === 'state') {
      const presence = readPresence(packet.payload);
      if (presence === null) {
        counters.presence_malformed += 1;
        return done(new Fault('REQUEST_INVALID', { field: 'state' }));
      }
      if (presence.state === 'online') session.presence_session = presence.session;
      listener.presence(session.station, { input: 'published', presence });
      return done();
    }
    const payload = packet.payload as Buffer;
    listener.uplink(session.station, judged.stream, packet.topic, payload);
    this.#release(session, payload.length, done);
  }

  /** Lets Aedes read on now, or when the station is within its rate again. */
  #release(session: Session, bytes: number, done: () => void): void {
    const { clock, counters } = this.#options;
    const now = clock.mono();
    const debt_ms = Math.max(session.messages.spend(1, now), session.bytes.spend(bytes, now));
    if (debt_ms === 0 && session.held.length === 0) return done();
    session.held.push(done);
    if (session.held.length > 1) return;
    counters.throttled += 1;
    const wake = () => {
      const at = clock.mono();
      const left_ms = Math.max(session.messages.spend(0, at), session.bytes.spend(0, at));
      if (left_ms > 0) clock.after(left_ms, wake);
      else for (const release of session.held.splice(0)) release();
    };
    clock.after(debt_ms, wake);
  }

  #subscribed(client: Client, subscription: Subscription): boolean {
    const session = this.#session_of.get(client);
    const heard = session?.rights.subscribe.get(subscription.topic);
    if (session === undefined || heard === undefined) {
      this.#options.counters.refused_subscribe += 1;
      this.#logRefusal('subscribe', session?.station ?? '');
      return false;
    }
    session.hears.add(heard);
    return true;
  }

  sendAck(station: StationCode, ack: Ack): boolean {
    const session = this.#listening(station, 'ack');
    if (session === null) return false;
    const conn: Duplex = session.client.conn;
    conn.write(publishQos0(ackTopic(station), JSON.stringify(ack)), 'latin1');
    return true;
  }

  sendCommand(station: StationCode, command: Command): boolean {
    const session = this.#listening(station, 'command');
    if (session === null) return false;
    const payload = JSON.stringify(command);
    const topic = commandTopic(station);
    session.client.publish(
      { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false },
      ignore,
    );
    return true;
  }

  /** The station's connection if it subscribed to this and reads what it is sent. */
  #listening(station: StationCode, kind: 'ack' | 'command'): Session | null {
    const session = this.#sessions.get(station);
    if (session === undefined || !session.hears.has(kind)) return null;
    if (session.client.conn.writableLength <= this.#options.limits.unread_bytes_max) return session;
    this.#options.counters.slow_consumers += 1;
    this.#sessions.delete(station);
    session.client.conn.destroy();
    return null;
  }

  /** Refusals are counted always and told now and then: one misconfigured station must not fill the log. */
  #logRefusal(why: string, station: string): void {
    const { clock, log } = this.#options;
    if (this.#refusals.spend(1, clock.mono()) === 0)
      log('notice', 'station.refused', { why, station });
  }

  deafen(): void {
    this.#deaf = true;
    this.#doors?.shut();
  }

  async stop(): Promise<void> {
    this.deafen();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    this.#doors?.clear();
  }

  ready(): boolean {
    return !this.#deaf && this.#doors !== null;
  }

  get ports(): Record<string, number> {
    assert(this.#doors, 'started');
    return this.#doors.ports;
  }

  get connections(): number {
    return this.#doors?.connections ?? 0;
  }

  get waiting(): number {
    return this.#doors?.waiting ?? 0;
  }
}

/** Listens. Throws Fault GATEWAY_LISTEN when a port is taken. */
export async function startBroker(options: BrokerOptions): Promise<StationSide> {
  const broker = new Broker(options);
  await broker.start();
  return broker;
}
