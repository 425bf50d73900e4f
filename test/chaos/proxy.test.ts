import { once } from 'node:events';
import {
  createConnection,
  createServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '@waystation/runtime/clock';
import { until } from '../system/local-stack.ts';
import { startProxy, type Proxy } from './proxy.ts';

const clock = systemClock();
let echo: Server;
let proxy: Proxy;
let heard: string;
let open: Socket[];

async function echoServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
const portOf = (server: Server) => (server.address() as AddressInfo).port;

beforeEach(async () => {
  heard = '';
  open = [];
  echo = await echoServer();
  const tap = () => (bytes: Buffer) => void (heard += bytes.toString());
  proxy = await startProxy({ clock, targets: () => [1, portOf(echo)], tap });
});
afterEach(async () => {
  for (const socket of open) socket.destroy();
  await proxy.close();
  echo.close();
});

interface Caller {
  socket: Socket;
  text: () => string;
  closed: () => boolean;
}

function call(): Caller {
  const socket = createConnection({ port: proxy.port, host: '127.0.0.1' });
  let text = '';
  let closed = false;
  socket.setEncoding('utf8').on('data', (more: string) => (text += more));
  socket.on('error', () => {}).on('close', () => (closed = true));
  open.push(socket);
  return { socket, text: () => text, closed: () => closed };
}

/** Says it and hears it back. */
async function exchange(caller: Caller, word: string): Promise<void> {
  caller.socket.write(word);
  await until(`${word} comes back`, () => caller.text().endsWith(word));
}

test('it passes both ways, passes over a port where nobody listens, and tells the tap what was said', async () => {
  const caller = call();
  await exchange(caller, 'one');
  await exchange(caller, 'two');
  expect(heard).toBe('onetwo');
  caller.socket.end();
  await until('the end is passed on', caller.closed);
});

test('a large load comes through whole', async () => {
  const caller = call();
  const load = 'x'.repeat(3_000_000);
  caller.socket.write(load);
  await until('all of it', () => caller.text().length === load.length);
});

test('a delay is that long at least, and keeps the order', async () => {
  const caller = call();
  await exchange(caller, 'warm');
  proxy.set({ w: 'delay', delay_ms: 60 });
  const began = clock.mono();
  caller.socket.write('a');
  caller.socket.write('b');
  await exchange(caller, 'c');
  expect(clock.mono() - began).toBeGreaterThanOrEqual(119);
  expect(caller.text()).toBe('warmabc');
});

test('a throttle counts bytes', async () => {
  const caller = call();
  await exchange(caller, 'warm');
  proxy.set({ w: 'throttle', bytes_per_s: 10_000 });
  const began = clock.mono();
  await exchange(caller, 'y'.repeat(1_000));
  expect(clock.mono() - began).toBeGreaterThanOrEqual(199);
});

test('a cut ends what is open and takes nobody; afterwards it serves again', async () => {
  const before = call();
  await exchange(before, 'before');
  proxy.set({ w: 'cut' });
  await until('the old one ends', before.closed);
  const during = call();
  await until('a new one ends', during.closed);
  expect(proxy.counts.refused).toBe(1);
  proxy.set({ w: 'pass' });
  await exchange(call(), 'after');
});

test('a black hole takes everything and answers nothing; a connection that lost bytes ends with it', async () => {
  const idle = call();
  await exchange(idle, 'idle');
  const caller = call();
  await exchange(caller, 'before');
  proxy.set({ w: 'blackHole' });
  caller.socket.write('lost');
  await until('it is swallowed', () => proxy.counts.swallowed_bytes === 4);
  expect(caller.closed()).toBe(false);
  proxy.set({ w: 'pass' });
  await until('it ends', caller.closed);
  expect(caller.text()).toBe('before');
  await exchange(idle, 'still here');
});

test('a stall reads nothing until it is over, and then loses nothing', async () => {
  const caller = call();
  await exchange(caller, 'before');
  proxy.set({ w: 'stall' });
  caller.socket.write('held');
  await exchange(await passing(), 'elsewhere');
  expect(caller.text()).toBe('before');
  proxy.set({ w: 'pass' });
  await until('it comes', () => caller.text() === 'beforeheld');
});

/** Another wire, to be sure that time has passed. */
async function passing(): Promise<Caller> {
  const socket = createConnection({ port: portOf(echo), host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('utf8').on('data', (more: string) => (text += more));
  open.push(socket);
  return { socket, text: () => text, closed: () => socket.destroyed };
}
