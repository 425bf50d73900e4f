import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { watchTraffic } from './traffic.ts';

test('bytes of open and of ended connections are counted both ways', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('four'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const traffic = watchTraffic();
  const socket = connect({ host: '127.0.0.1', port });
  socket.write('eleven byte');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toBe('four');
  expect(traffic.bytes()).toEqual({ bytes_sent: 11, bytes_received: 4 });
  await once(socket, 'close');
  expect(traffic.bytes()).toEqual({ bytes_sent: 11, bytes_received: 4 });
  traffic.stop();
  server.close();
});
