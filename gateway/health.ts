/** `/healthz` (the process lives), `/readyz` (stations are served and the cloud answers), `/metrics` (Prometheus). */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Fault } from '@waystation/runtime/fault';

export interface HealthOptions {
  host: string;
  port: number;
  /** Part → is it working. Ready means that all are. */
  ready(): Record<string, boolean>;
  metrics(): string;
}

export interface Health {
  readonly port: number;
  stop(): Promise<void>;
}

/** Throws Fault GATEWAY_LISTEN when the port is taken. */
export async function startHealth(options: HealthOptions): Promise<Health> {
  const server: Server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string) => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    };
    const path = request.url?.split('?')[0];
    if (path === '/healthz') return answer(200, 'application/json', '{"alive":true}\n');
    if (path === '/metrics')
      return answer(200, 'text/plain; version=0.0.4; charset=utf-8', options.metrics());
    if (path !== '/readyz') return answer(404, 'application/json', '{"error":"NOT_FOUND"}\n');
    const parts = options.ready();
    const ready = Object.values(parts).every(Boolean);
    answer(ready ? 200 : 503, 'application/json', `${JSON.stringify({ ready, parts })}\n`);
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  server.listen(options.port, options.host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Fault('GATEWAY_LISTEN', { host: options.host, port: options.port }, cause);
  }
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
