/** The station's transport against a real Mosquitto: birth, will, commands held, and every way a connection is refused. */
import {
  connect as connectTo,
  createServer as createCable,
  type AddressInfo,
  type Socket,
} from 'node:net';
import { createServer, type Server } from 'node:tls';
import { connectAsync, type MqttClient } from 'mqtt';
import { generate } from 'selfsigned';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UplinkSession } from '@waystation/edge/ports';
import { mqttTransport, type MqttTransportOptions } from '@waystation/edge/uplink/mqtt-transport';
import type { Command } from '@waystation/protocol/commands';
import { stationCode } from '@waystation/protocol/station-code';
import {
  ackTopic,
  commandTopic,
  mosquittoAcl,
  stateTopic,
  uplinkTopic,
} from '@waystation/protocol/topics';
import type { Ack, StationPresence } from '@waystation/protocol/uplink';
import { systemClock } from '@waystation/runtime/clock';
import { freePort } from '../servers/process.ts';
import { startMosquitto, type TestMosquitto } from '../servers/mosquitto.ts';

const STATION = stationCode('370102001', 'W', 1);
const OTHER = stationCode('370102001', 'W', 2);
const birth = (session: string): Extract<StationPresence, { state: 'online' }> => ({
  state: 'online',
  session,
  at: 1,
  software: 'test',
  key_set_version: 1,
  status_list_version: 2,
});
const command: Command = { kind: 'statusList', version: 7, body: 'AAAA' };

let broker: TestMosquitto;
let gateway: MqttClient;
let heard: { topic: string; payload: unknown }[];
let waiting: (() => void)[];
let sessions: UplinkSession[];
let logged: string[];

beforeAll(async () => {
  const accounts = { [STATION]: 'secret', [OTHER]: 'secret', gateway: 'secret' };
  broker = await startMosquitto({ accounts, acl: mosquittoAcl('gateway') });
});
afterAll(() => broker.stop());

beforeEach(async () => {
  heard = [];
  waiting = [];
  sessions = [];
  logged = [];
  gateway = await connectAsync(broker.url, { username: 'gateway', password: 'secret' });
  gateway.on('message', (topic, payload) => {
    heard.push({ topic, payload: JSON.parse(payload.toString()) as unknown });
    for (const look of waiting) look();
  });
  await gateway.subscribeAsync('ws/1/+/#', { qos: 1 });
});
afterEach(async () => {
  await Promise.all(sessions.map((session) => session.end()));
  await gateway.endAsync();
});

/** Resolves when `found` gives something, looked at after every message the gateway hears. */
function until<T>(found: () => T | undefined): Promise<T> {
  return new Promise((resolve) => {
    const look = () => {
      const result = found();
      if (result !== undefined) resolve(result);
    };
    waiting.push(look);
    look();
  });
}
const state = (session: string, wanted: 'online' | 'offline') =>
  until(() => {
    const told = heard
      .filter(({ topic }) => topic === stateTopic(STATION))
      .map(({ payload }) => payload as StationPresence);
    return told.find((presence) => presence.session === session && presence.state === wanted);
  });

/** A TCP line to `port` that can be cut. */
async function layCable(port: number) {
  const ends: Socket[] = [];
  const server = createCable((near) => {
    const far = connectTo(port, '127.0.0.1');
    for (const end of [near, far]) ends.push(end.on('error', () => {}));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  const cut = () =>
    new Promise<void>((resolve) => {
      for (const end of ends) end.destroy();
      server.close(() => resolve());
    });
  return { url: `mqtt://127.0.0.1:${address.port}`, cut };
}

function transport(part: Partial<MqttTransportOptions> = {}) {
  return mqttTransport({
    url: broker.url,
    station: STATION,
    password: () => 'secret',
    clock: systemClock(),
    log: (_, event, facts) => void logged.push(`${event} ${JSON.stringify(facts)}`),
    connect_timeout_ms: 5_000,
    ...part,
  });
}
async function open(session: string): Promise<UplinkSession> {
  const opened = await transport().connect(birth(session));
  sessions.push(opened);
  return opened;
}

test('birth, records up, acknowledgements down, goodbye', async () => {
  const session = await open('0123456789abcdef');
  expect(await state('0123456789abcdef', 'online')).toEqual(birth('0123456789abcdef'));
  const acks: Ack[] = [];
  const acked = new Promise<void>((resolve) =>
    session.onAck((ack) => {
      acks.push(ack);
      resolve();
    }),
  );
  const message = { epoch: 'aaaaaaaaaaaa', first: 1, records: [] };
  session.send('event', message);
  expect(
    await until(() => heard.find(({ topic }) => topic === uplinkTopic(STATION, 'event'))),
  ).toMatchObject({ payload: message });
  const ack: Ack = { stream: 'event', epoch: 'aaaaaaaaaaaa', through: 1 };
  for (const bad of [
    '{',
    '[]',
    JSON.stringify({ ...ack, through: -1 }),
    JSON.stringify({ ...ack, more: 1 }),
    'x'.repeat(2_000),
  ]) {
    await gateway.publishAsync(ackTopic(STATION), bad);
  }
  await gateway.publishAsync(ackTopic(STATION), JSON.stringify(ack));
  await acked;
  expect(acks).toEqual([ack]);
  expect(logged.filter((line) => line.startsWith('uplink.rejected'))).toHaveLength(5);
  expect(logged.join()).toContain('through');
  await session.end();
  expect(await state('0123456789abcdef', 'offline')).toEqual({
    state: 'offline',
    session: '0123456789abcdef',
    clean: true,
  });
});

test('a station that vanishes leaves its last will under the session of its birth', async () => {
  const cable = await layCable(broker.port);
  const session = await transport({ url: cable.url }).connect(birth('00000000000000aa'));
  const closed = new Promise<string>((resolve) => session.onClosed(resolve));
  await cable.cut();
  expect(await closed).not.toBe('');
  expect(await state('00000000000000aa', 'offline')).toEqual({
    state: 'offline',
    session: '00000000000000aa',
    clean: false,
  });
});

test('a command is forgotten by the broker only when it was journalled', async () => {
  const first = await open('0000000000000001');
  const refused = new Promise<Command>((resolve) =>
    first.onCommand(async (command) => {
      resolve(command);
      throw new Error('the disk is full');
    }),
  );
  await gateway.publishAsync(commandTopic(STATION), '{"kind":"dance"}', { qos: 1 });
  await gateway.publishAsync(commandTopic(STATION), JSON.stringify(command), { qos: 1 });
  expect(await refused).toEqual(command);
  await first.end();

  const second = await open('0000000000000002'); // the listener comes after the command
  const again = await new Promise<Command>((resolve) =>
    second.onCommand(async (command) => resolve(command)),
  );
  expect(again).toEqual(command);
  // What is held does not hold up what is behind it.
  const acked = new Promise<Ack>((resolve) => second.onAck(resolve));
  await gateway.publishAsync(
    ackTopic(STATION),
    JSON.stringify({ stream: 'sample', epoch: 'aaaaaaaaaaaa', through: 3 }),
  );
  expect(await acked).toMatchObject({ through: 3 });
  await second.end();

  const third = await open('0000000000000003');
  const late: Command[] = [];
  third.onCommand(async (command) => void late.push(command));
  const settled = new Promise<Ack>((resolve) => third.onAck(resolve));
  await gateway.publishAsync(
    ackTopic(STATION),
    JSON.stringify({ stream: 'sample', epoch: 'aaaaaaaaaaaa', through: 4 }),
  );
  await settled;
  expect(late).toEqual([]);
});

describe('refusals', () => {
  const failure = (part: Partial<MqttTransportOptions>) =>
    transport(part).connect(birth('0000000000000009'));

  test('a wrong credential', async () => {
    await expect(failure({ password: () => 'wrong' })).rejects.toMatchObject({
      code: 'UPLINK_REFUSED',
    });
  });

  test('nobody there', async () => {
    const port = await freePort();
    await expect(failure({ url: `mqtt://127.0.0.1:${port}` })).rejects.toMatchObject({
      code: 'UPLINK_LOST',
    });
  });

  test('a name that nobody knows', async () => {
    // RFC 2606: no such name will ever be. A resolver without a network says EAI_AGAIN.
    await expect(failure({ url: 'mqtt://gateway.invalid:1883' })).rejects.toMatchObject({
      code: 'UPLINK_LOST',
      facts: { code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) },
    });
  });

  test('a gateway that accepts and says nothing', async () => {
    broker.pause();
    try {
      await expect(failure({ connect_timeout_ms: 300 })).rejects.toMatchObject({
        code: 'UPLINK_LOST',
      });
    } finally {
      broker.resume();
    }
  });

  const YEAR_MS = 365 * 86_400_000;
  test.each([
    {
      name: 'of the future: our clock is behind',
      from: YEAR_MS,
      to: 2 * YEAR_MS,
      trusted: true,
      code: 'UPLINK_CLOCK',
    },
    {
      name: 'of the past: our clock is ahead',
      from: -2 * YEAR_MS,
      to: -YEAR_MS,
      trusted: true,
      code: 'UPLINK_CLOCK',
    },
    {
      name: 'of somebody else',
      from: -YEAR_MS,
      to: YEAR_MS,
      trusted: false,
      code: 'UPLINK_REFUSED',
    },
  ])('a certificate $name', async ({ from, to, trusted, code }) => {
    const now = systemClock().wall();
    const pems = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
      notBeforeDate: new Date(now + from),
      notAfterDate: new Date(now + to),
    });
    const server: Server = createServer({ key: pems.private, cert: pems.cert });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const tls = trusted ? { ca: Buffer.from(pems.cert) } : {};
    await expect(failure({ url: `mqtts://127.0.0.1:${port}`, tls })).rejects.toMatchObject({
      code,
    });
    server.close();
  });
});
