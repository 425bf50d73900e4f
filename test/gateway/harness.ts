/** A gateway in this process in front of the stub cloud, and stations that speak to it over real sockets. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { z } from 'zod';
import { GatewayConfig } from '@waystation/gateway/config';
import { startGateway, type Gateway } from '@waystation/gateway/gateway';
import { Command } from '@waystation/protocol/commands';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import {
  ackTopic,
  commandTopic,
  stateTopic,
  uplinkTopic,
  type Stream,
} from '@waystation/protocol/topics';
import { Ack, type StationPresence } from '@waystation/protocol/uplink';
import { systemClock } from '@waystation/runtime/clock';
import type { Log } from '@waystation/runtime/log';
import { signStationToken } from '@waystation/runtime/station-token';
import { temporaryDirectory } from '../servers/process.ts';
import { GATEWAY_TOKEN, startStubCloud, type StubCloud } from './stub-cloud.ts';

export const EPOCH = '0123456789ab';
const KEYS = generateKeyPairSync('ed25519');
const ISSUED_AT_S = 1_700_000_000;

export const station = (number: number) => stationCode('370102001', 'W', number);
export const tokenOf = (code: StationCode, expires_at_s?: number) =>
  signStationToken(KEYS.privateKey, {
    station: code,
    issued_at_s: ISSUED_AT_S,
    ...(expires_at_s === undefined ? {} : { expires_at_s }),
  });

export interface TestBed {
  cloud: StubCloud;
  gateway: Gateway;
  directory: string;
  mqtt_port: number;
  log: string[];
  close(): Promise<void>;
}

/** Writes the files a configuration names, and returns the configuration. */
export function configure(
  directory: string,
  cloud_url: string,
  parts: Partial<z.input<typeof GatewayConfig>> = {},
): z.input<typeof GatewayConfig> {
  const public_key = KEYS.publicKey.export({ type: 'spki', format: 'pem' });
  writeFileSync(join(directory, 'station-token.public.pem'), public_key);
  writeFileSync(join(directory, 'gateway.token'), `${GATEWAY_TOKEN}\n`);
  return {
    id: 'gateway-test',
    listen: { mqtt: { host: '127.0.0.1', port: 0 } },
    cloud: { url: cloud_url, token_file: join(directory, 'gateway.token') },
    station_key_file: join(directory, 'station-token.public.pem'),
    http: { host: '127.0.0.1', port: 0 },
    ...parts,
  };
}

/** `parts` may depend on the directory, where certificates can be put. */
export async function startTestBed(
  parts: Partial<z.input<typeof GatewayConfig>> = {},
): Promise<TestBed> {
  const directory = temporaryDirectory('gateway');
  const cloud = await startStubCloud();
  const lines: string[] = [];
  const log: Log = (level, event, facts) =>
    lines.push(`${level} ${event} ${JSON.stringify(facts ?? {})}`);
  const config = GatewayConfig.parse(configure(directory.path, cloud.url, parts));
  const gateway = await startGateway(config, { clock: systemClock(), random: Math.random, log });
  await cloud.until(() => cloud.command_streams === 1);
  let closed = false;
  return {
    cloud,
    gateway,
    directory: directory.path,
    mqtt_port: gateway.ports.mqtt ?? 0,
    log: lines,
    async close() {
      if (closed) return;
      closed = true;
      await gateway.stop();
      await cloud.stop();
      directory.remove();
    },
  };
}

export interface TestStation {
  readonly code: StationCode;
  readonly client: MqttClient;
  readonly acks: Ack[];
  readonly commands: Command[];
  readonly closed: Promise<void>;
  /** Sends consecutive records, `first` and on. */
  send(stream: Stream, first: number, records?: number): void;
  publishState(presence: StationPresence): Promise<unknown>;
  /** Cuts the connection as a power cut would. */
  cut(): void;
}

export const birth = (session: string): StationPresence => ({
  state: 'online',
  session: session.repeat(16),
  at: 1_780_000_000_000,
  software: 'test',
  key_set_version: 1,
  status_list_version: 1,
});
export const death = (session: string, clean = false): StationPresence => ({
  state: 'offline',
  session: session.repeat(16),
  clean,
});

export const uplinkPayload = (first: number, records = 1) =>
  JSON.stringify({ epoch: EPOCH, first, records: Array.from({ length: records }, () => ({})) });

/** The options of an honest station; tests spoil them one by one. */
export function honest(code: StationCode, session = 'a'): IClientOptions {
  return {
    protocolVersion: 4,
    clientId: code,
    username: code,
    password: tokenOf(code),
    reconnectPeriod: 0,
    queueQoSZero: false,
    will: {
      topic: stateTopic(code),
      payload: Buffer.from(JSON.stringify(death(session))),
      qos: 1,
      retain: true,
    },
  };
}

/** Connects and waits for CONNACK: resolves with the client, or with why it was refused. */
export async function tryConnect(
  url: string,
  options: IClientOptions,
): Promise<MqttClient | string> {
  const client = connect(url, options);
  return new Promise((resolve) => {
    let error = 'closed';
    client.on('error', (cause) => {
      error = cause.message;
    });
    client.once('connect', () => resolve(client));
    client.once('close', () => {
      client.end(true);
      resolve(error);
    });
  });
}

export async function connectStation(
  url: string,
  code: StationCode,
  options: IClientOptions = honest(code),
): Promise<TestStation> {
  const client = await tryConnect(url, options);
  if (typeof client === 'string') throw new Error(`not connected: ${client}`);
  const acks: Ack[] = [];
  const commands: Command[] = [];
  client.on('message', (topic, payload) => {
    const json: unknown = JSON.parse(payload.toString());
    if (topic === ackTopic(code)) acks.push(Ack.parse(json));
    else if (topic === commandTopic(code)) commands.push(Command.parse(json));
  });
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  await client.subscribeAsync([ackTopic(code), commandTopic(code)], { qos: 1 });
  return {
    code,
    client,
    acks,
    commands,
    closed,
    send: (stream, first, records = 1) => {
      client.publish(uplinkTopic(code, stream), uplinkPayload(first, records), { qos: 0 });
    },
    publishState: (presence) =>
      client.publishAsync(stateTopic(code), JSON.stringify(presence), { qos: 1, retain: true }),
    cut: () => client.stream.destroy(),
  };
}

/** A bare socket, for what no client library would send. Resolves when connected; `ended` when the other side closed. */
export async function bareSocket(port: number): Promise<{ socket: Socket; ended: Promise<void> }> {
  const socket = createConnection({ host: '127.0.0.1', port });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return { socket, ended };
}
