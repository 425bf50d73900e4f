/** The listening sockets: plain TCP and TLS, with one limit on connections over both. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { Fault } from '@waystation/runtime/fault';
import type { Counters } from './metrics.ts';

interface Address {
  host: string;
  port: number;
}

export interface DoorOptions {
  mqtt?: Address | undefined;
  mqtts?: (Address & { cert: Buffer; key: Buffer; client_ca?: Buffer | undefined }) | undefined;
  connections_max: number;
  handshake_timeout_ms: number;
  counters: Counters;
  serve(socket: Socket): void;
  refused(why: string): void;
}

export interface Doors {
  readonly ports: Record<string, number>;
  readonly connections: number;
  /** Lets nobody in any more; who is in stays. */
  shut(): void;
  /** Ends every connection. */
  clear(): void;
}

/** The common name of the verified client certificate; `null` without one. */
export function nameInCertificate(socket: unknown): string | null {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : null;
}

async function listen(server: Server, { host, port }: Address): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Fault('GATEWAY_LISTEN', { host, port }, cause);
  }
  return (server.address() as AddressInfo).port;
}

/** Throws Fault GATEWAY_LISTEN when a port is taken. */
export async function openDoors(options: DoorOptions): Promise<Doors> {
  const { mqtt, mqtts, counters } = options;
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const ports: Record<string, number> = {};
  let open = true;

  function accept(socket: Socket): boolean {
    if (!open || sockets.size >= options.connections_max) {
      counters.refused_connection_limit += 1;
      socket.destroy();
      return false;
    }
    counters.connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    return true;
  }

  function serveTls(socket: TLSSocket): void {
    if (socket.getPeerX509Certificate() === undefined || socket.authorized) {
      options.serve(socket);
      return;
    }
    counters.refused_certificate += 1;
    options.refused(`certificate: ${String(socket.authorizationError)}`);
    socket.destroy();
  }

  if (mqtt !== undefined) {
    const server = createServer((socket) => {
      if (accept(socket)) options.serve(socket);
    });
    ports.mqtt = await listen(server, mqtt);
    servers.push(server);
  }
  if (mqtts !== undefined) {
    const { cert, key, client_ca } = mqtts;
    // A token will do as well: a certificate is asked for, not demanded, and a wrong one is refused above.
    const ask =
      client_ca === undefined
        ? {}
        : { ca: client_ca, requestCert: true, rejectUnauthorized: false };
    const handshakeTimeout = options.handshake_timeout_ms;
    const server = createTlsServer(
      { cert, key, minVersion: 'TLSv1.2', handshakeTimeout, ...ask },
      serveTls,
    );
    server.on('connection', accept);
    server.on('tlsClientError', () => {
      counters.refused_handshake += 1;
    });
    ports.mqtts = await listen(server, mqtts);
    servers.push(server);
  }
  return {
    ports,
    get connections() {
      return sockets.size;
    },
    shut() {
      open = false;
      for (const server of servers) server.close();
    },
    clear() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
