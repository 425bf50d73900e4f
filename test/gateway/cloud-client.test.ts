import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createCloudClient,
  type CloudClient,
  type CommandListeners,
} from '@waystation/gateway/cloud-client';
import { systemClock } from '@waystation/runtime/clock';
import { station } from './harness.ts';

let server: Server;
let client: CloudClient;
let connections = 0;
let answer: (response: ServerResponse) => void = () => {};

beforeEach(async () => {
  connections = 0;
  server = createServer((request, response) => {
    request.resume().once('end', () => answer(response));
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = createCloudClient({
    clock: systemClock(),
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    token: 'token',
    gateway: 'g1',
    connections_max: 2,
    post_timeout_ms: 300,
    stream_silence_ms: 300,
  });
});
afterEach(async () => {
  client.close();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const json = (status: number, body: string) => (response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
};
const unreachable = expect.objectContaining({ code: 'GATEWAY_CLOUD_UNREACHABLE' });

test('posts go over one kept-alive connection', async () => {
  answer = json(200, '{"acks":[]}');
  for (let count = 0; count < 20; count += 1) await client.postUplink(Buffer.from('x'));
  expect(connections).toBe(1);
});

test.each([
  ['an answer that is no JSON', json(200, 'ok')],
  ['an answer of another shape', json(200, '{"acks":[{"station":"x"}]}')],
  ['an answer with more than was agreed', json(200, '{"acks":[],"more":1}')],
  ['another status', json(202, '{"acks":[]}')],
  ['an answer without end', (response: ServerResponse) => response.writeHead(200).write('{')],
  [
    'an answer cut in the middle',
    (response: ServerResponse) =>
      response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy()),
  ],
  ['an answer that is too long', json(200, ' '.repeat(5 * 1024 * 1024))],
  ['silence', () => {}],
])('%s is no acknowledgement', async (_name, how) => {
  answer = how;
  await expect(client.postUplink(Buffer.from('x'))).rejects.toEqual(unreachable);
});

test('presence is accepted by 204 alone', async () => {
  const presence = { state: 'offline', session: 'a'.repeat(16), clean: true } as const;
  const report = { gateway: 'g1', changes: [{ station: station(1), seen_at: 1, presence }] };
  answer = json(200, '');
  await expect(client.postPresence(report)).rejects.toEqual(unreachable);
  answer = (response) => response.writeHead(204).end();
  await client.postPresence(report);
});

/** Reads the stream to its end; what was heard, and how it ended. */
async function listen(abort = new AbortController()) {
  const heard: string[] = [];
  const listeners: CommandListeners = {
    opened: () => heard.push('opened'),
    delivery: ({ command }) => heard.push(command.kind),
    malformed: () => heard.push('malformed'),
    signal: abort.signal,
  };
  const end = await client.readCommands(listeners).then(
    () => 'ended',
    (error: unknown) => error,
  );
  return { heard, end };
}
const stream = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream' });

test('deliveries are read until the stream ends', async () => {
  const delivery = { station: station(1), command: { kind: 'keySet', version: 1, body: '' } };
  answer = (response) =>
    stream(response).end(`: hello\n\ndata: ${JSON.stringify(delivery)}\n\ndata: {}\n\n`);
  expect(await listen()).toEqual({ heard: ['opened', 'keySet', 'malformed'], end: 'ended' });
});

test.each([
  [
    'a stream that falls silent',
    (response: ServerResponse) => stream(response).write(': hello\n\n'),
    ['opened'],
  ],
  [
    'an event without end',
    (response: ServerResponse) => stream(response).write(`data: ${'x'.repeat(2 * 1024 * 1024)}`),
    ['opened'],
  ],
  ['a refusal', json(401, ''), []],
])('%s is given up', async (_name, how, heard) => {
  answer = how;
  expect(await listen()).toEqual({ heard, end: unreachable });
});

test('a stream is ended from here', async () => {
  const abort = new AbortController();
  answer = (response) => {
    stream(response).write(': hello\n\n');
    abort.abort();
  };
  expect((await listen(abort)).end).toEqual(unreachable);
});
