/** The facts about Aedes that the gateway stands on, and that its documentation does not promise: an upgrade must keep them. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Aedes, type AedesOptions, type Client } from 'aedes';
import { connect, type MqttClient } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { deafEmitter, noPersistence } from '@waystation/gateway/stateless';
import { bareSocket, tryConnect } from './harness.ts';

const WILL = { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: true } as const;
let close: () => Promise<void> = async () => {};
afterEach(() => close());

/** Aedes as the gateway builds it, with the hooks of the test. */
async function broker(options: AedesOptions) {
  const aedes = await Aedes.createBroker({
    mq: deafEmitter(),
    persistence: noPersistence(),
    ...options,
  });
  const clients: Client[] = [];
  const order: string[] = [];
  const server = createServer((socket) => {
    clients.push(aedes.handle(socket));
    socket.on('data', () => order.push('data'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const opened: MqttClient[] = [];
  close = async () => {
    for (const client of opened) client.end(true);
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    server.close();
  };
  const dial = async (client_id: string) => {
    const client = connect(`mqtt://127.0.0.1:${port}`, {
      clientId: client_id,
      protocolVersion: 4,
      reconnectPeriod: 0,
      will: WILL,
    });
    client.on('error', () => {});
    opened.push(client);
    await new Promise<void>((resolve) => client.once('connect', () => resolve()));
    return client;
  };
  return { aedes, clients, order, port, dial };
}

test('authorizePublish runs before PUBACK, and an error in it closes the socket without PUBACK', async () => {
  const answers: (Error | null)[] = [null, new Error('no')];
  const { dial, order } = await broker({
    authorizePublish: (_client, packet, done) => {
      order.push(`authorize ${packet.topic}`);
      done(answers.shift() ?? null);
    },
  });
  const client = await dial('a');
  client.on('packetreceive', (packet) => order.push(packet.cmd));
  await client.publishAsync('t', 'x', { qos: 1 });
  expect(order.indexOf('authorize t')).toBeLessThan(order.indexOf('puback'));
  client.publish('u', 'x', { qos: 1 }, () => {});
  await new Promise<void>((resolve) => client.once('close', () => resolve()));
  expect(order.filter((step) => step === 'puback')).toHaveLength(1);
});

test('it reads a connection by read() alone, so a gate there can refuse or cut what its parser gets', async () => {
  const { dial, clients, order } = await broker({
    authorizePublish: (_client, packet, done) => {
      order.push(`authorize ${packet.topic}`);
      done(null);
    },
  });
  const client = await dial('a');
  const socket = clients[0]?.conn;
  if (socket === undefined) throw new Error('no connection');
  const read = socket.read.bind(socket);
  order.length = 0;
  socket.read = () => {
    const chunk: unknown = read();
    if (!Buffer.isBuffer(chunk)) return null;
    order.push('read');
    return chunk.includes('secret') ? null : chunk;
  };
  client.publish('t', 'secret', { qos: 0 });
  await expect.poll(() => order).toContain('read');
  await client.publishAsync('u', 'x', { qos: 1 });
  expect(order.filter((step) => step !== 'data').slice(0, 3)).toEqual([
    'read',
    'read',
    'authorize u',
  ]);
});

test('while a hook holds a publish, nothing more is read from that connection', async () => {
  const held: (() => void)[] = [];
  const { dial, clients } = await broker({
    authorizePublish: (_client, _packet, done) => held.push(done),
  });
  const client = await dial('a');
  client.publish('t', 'x'.repeat(60_000), { qos: 0 });
  await expect.poll(() => held.length).toBe(1);
  for (let count = 0; count < 50; count += 1) client.publish('t', 'x'.repeat(60_000), { qos: 0 });
  const socket = clients[0]?.conn;
  await expect.poll(() => socket?.readableLength ?? 0).toBeGreaterThan(0);
  const seen = held.length;
  await client.publishAsync('t', 'y', { qos: 0 });
  expect(held.length).toBe(seen);
  for (const release of held) release();
  await expect.poll(() => held.length).toBeGreaterThan(seen);
});

test('closing a client is one synchronous step: its will passes the hook within the call', async () => {
  const wills: string[] = [];
  const { dial, aedes, clients } = await broker({
    authorizePublish: (client, packet, done) => {
      wills.push(`${client?.id} ${packet.topic}`);
      done(null);
    },
  });
  await dial('a');
  const gone: string[] = [];
  aedes.on('clientDisconnect', (client) => gone.push(client.id));
  clients[0]?.close();
  expect([wills, gone]).toEqual([['a will'], ['a']]);
});

test('it authenticates a connection that has gone in the meantime, so the hook must look', async () => {
  const gone: boolean[] = [];
  const { port } = await broker({
    preConnect: (client, _packet, done) => {
      client.conn.destroy();
      done(null, true);
    },
    authenticate: (client, _name, _password, done) => {
      gone.push(client.conn.destroyed);
      done(null, true);
    },
  });
  await tryConnect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4, reconnectPeriod: 0 });
  await expect.poll(() => gone).toEqual([true]);
});

test('a subscription is refused with 0x80 by answering null', async () => {
  const { dial } = await broker({
    authorizeSubscribe: (_client, subscription, done) =>
      done(null, subscription.topic === 'yes' ? subscription : null),
  });
  const client = await dial('a');
  const granted = new Promise((resolve) => {
    client.on('packetreceive', (packet) => packet.cmd === 'suback' && resolve(packet.granted));
  });
  client.subscribe(['yes', 'no'], { qos: 1 }, () => {});
  expect(await granted).toEqual([1, 128]);
});

test('MQTT 5 is answered with return code 1, unacceptable protocol version', async () => {
  const { port } = await broker({});
  const answer = await tryConnect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
  expect(answer).toContain('refused');
  const { socket } = await bareSocket(port);
  const bytes = once(socket, 'data');
  socket.write(Buffer.from('100d00044d5154540502003c000000', 'hex'));
  expect((await bytes)[0]).toEqual(Buffer.from([0x20, 0x02, 0x00, 0x01]));
});

test('its clearing of old wills, hours apart in the gateway, finds nothing and harms nobody', async () => {
  const store = noPersistence();
  let rounds = 0;
  const errors: Error[] = [];
  const wills: string[] = [];
  const { dial, aedes } = await broker({
    heartbeatInterval: 5,
    persistence: {
      ...store,
      streamWill: () => {
        rounds += 1;
        return store.streamWill();
      },
    },
    authorizePublish: (_client, packet, done) => {
      wills.push(packet.topic);
      done(null);
    },
  });
  // Its types do not know this event.
  const emitter: NodeJS.EventEmitter = aedes;
  emitter.on('error', (error: Error) => errors.push(error));
  const client = await dial('a');
  await expect.poll(() => rounds).toBeGreaterThan(3);
  expect([errors, wills, client.connected]).toEqual([[], [], true]);
});

test('every method of the store that Aedes calls is there', () => {
  const lib = new URL('../../node_modules/aedes/', import.meta.url);
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /^(aedes\.js|lib\/.*\.js)$/.test(path),
  );
  const called = new Set(
    files.flatMap((path) =>
      [...readFileSync(new URL(path, lib), 'utf8').matchAll(/persistence\.(\w+)\(/g)].map(
        ([, method]) => method,
      ),
    ),
  );
  // QoS 2 never gets so far: authorizePublish refuses it, and a PUBREL finds nothing.
  for (const method of ['incomingStorePacket', 'incomingDelPacket']) called.delete(method);
  expect(called.size).toBeGreaterThan(10);
  expect([...called].filter((method) => !(String(method) in noPersistence()))).toEqual([]);
});
