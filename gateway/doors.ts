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
  serve: (socket: Socket) => void;
}

export interface Doors {
  readonly ports: Record<string, number>;
  readonly connections: number;
  /** Lets nobody in any more; who is in stays. */
  shut(): void;
  /** Ends every connection. */
  clear(): void;
}

export type Certificate =
  | { kind: 'none' }
  | { kind: 'trusted'; name: string }
  | { kind: 'untrusted'; problem: string };

/** The certificate the client showed, judged against the client CA; `name` is its common name. */
export function certificateOf(socket: unknown): Certificate {
  if (!(socket instanceof TLSSocket) || socket.getPeerX509Certificate() === undefined) {
    return { kind: 'none' };
  }
  if (!socket.authorized) return { kind: 'untrusted', problem: String(socket.authorizationError) };
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  if (typeof name === 'string') return { kind: 'trusted', name };
  return { kind: 'untrusted', problem: 'no common name' };
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

  async function openDoor(server: Server, address: Address): Promise<number> {
    const port = await listen(server, address);
    // Out of file descriptors: whoever knocked must knock again, those inside stay.
    server.on('error', () => {
      counters.refused_accept += 1;
    });
    servers.push(server);
    return port;
  }

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

  if (mqtt !== undefined) {
    const server = createServer((socket) => {
      if (accept(socket)) options.serve(socket);
    });
    ports.mqtt = await openDoor(server, mqtt);
  }
  if (mqtts !== undefined) {
    const { cert, key, client_ca } = mqtts;
    // A token will do as well, so a certificate is asked for, not demanded. A wrong one is refused by CONNACK,
    // which tells the station more than a closed socket.
    const ask =
      client_ca === undefined
        ? {}
        : { ca: client_ca, requestCert: true, rejectUnauthorized: false };
    const handshakeTimeout = options.handshake_timeout_ms;
    const server = createTlsServer(
      { cert, key, minVersion: 'TLSv1.2', handshakeTimeout, ...ask },
      options.serve,
    );
    server.on('connection', accept);
    server.on('tlsClientError', (_error, socket) => {
      counters.refused_handshake += 1;
      // Node only tells of a handshake that took too long: it leaves the socket open.
      socket.destroy();
    });
    ports.mqtts = await openDoor(server, mqtts);
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
