/** One address for several servers: TCP, one after the other, past those that do not listen. */
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';

export interface TestBalancer {
  readonly url: string;
  /** Connections that each server was given. */
  readonly given: ReadonlyMap<number, number>;
  stop(): Promise<void>;
}

export async function startBalancer(ports: readonly number[]): Promise<TestBalancer> {
  const sockets = new Set<Socket>();
  const given = new Map(ports.map((port) => [port, 0]));
  let turn = 0;

  /** Tries each server once, beginning with the next in turn. */
  function pass(client: Socket, tries: number): void {
    const port = ports[turn % ports.length] ?? 0;
    turn += 1;
    const server = connect(port, '127.0.0.1');
    server.once('connect', () => {
      given.set(port, (given.get(port) ?? 0) + 1);
      sockets.add(server);
      client.pipe(server).pipe(client);
      client.once('close', () => server.destroy());
      server.once('close', () => {
        sockets.delete(server);
        client.destroy();
      });
    });
    server.once('error', () => {
      if (sockets.has(server) || tries <= 1) client.destroy();
      else pass(client, tries - 1);
    });
  }
  const listener = createServer((client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    client.once('close', () => sockets.delete(client));
    pass(client, ports.length);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    given,
    async stop() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
