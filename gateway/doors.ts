/** The listening sockets: plain TCP and TLS, with one limit on connections over both. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { once } from 'node:events';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { createGreeting } from './greeting.ts';
import type { Counters } from './metrics.ts';

interface Address {
  host: string;
  port: number;
}

export interface DoorOptions {
  mqtt?: Address | undefined;
  mqtts?: (Address & { cert: Buffer; key: Buffer; client_ca?: Buffer | undefined }) | undefined;
  connections_max: number;
  /** Connections that are between their first byte and the end of their CONNECT. */
  greetings_max: number;
  handshake_timeout_ms: number;
  clock: Clock;
  counters: Counters;
  /** `greeted` is called when the station is in: the next may be greeted. */
  serve: (socket: Socket, greeted: () => void) => void;
}

export interface Doors {
  readonly ports: Record<string, number>;
  readonly connections: number;
  /** Of those, how many have not been greeted yet. */
  readonly waiting: number;
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

/** Far longer than an honest station needs, far shorter than a silent one may stay. */
const TURN_MS = 1_000;

interface Guest {
  socket: Socket;
  /** Serves the socket, behind a TLS handshake if this is that door. */
  greet: () => void;
}

/**
 * The TLS side of a door that accepts plain sockets. A token will do as well, so a certificate is asked for, not demanded.
 * A wrong one is refused by CONNACK, which tells the station more than a closed socket.
 */
function tlsOver(
  { mqtts, handshake_timeout_ms, counters }: DoorOptions,
  serve: (secured: TLSSocket) => void,
): (socket: Socket) => void {
  if (mqtts === undefined) throw new RangeError('there is no TLS door');
  const { cert, key, client_ca } = mqtts;
  const ask =
    client_ca === undefined ? {} : { ca: client_ca, requestCert: true, rejectUnauthorized: false };
  const tls = createTlsServer(
    { cert, key, minVersion: 'TLSv1.2', handshakeTimeout: handshake_timeout_ms, ...ask },
    serve,
  );
  tls.on('tlsClientError', (_error, socket) => {
    counters.refused_handshake += 1;
    // Node only tells of a handshake that took too long: it leaves the socket open.
    socket.destroy();
  });
  return (socket) => void tls.emit('connection', socket);
}

/** Throws Fault GATEWAY_LISTEN when a port is taken. */
export async function openDoors(options: DoorOptions): Promise<Doors> {
  const { mqtt, mqtts, counters, clock } = options;
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const ports: Record<string, number> = {};
  const greeting = createGreeting<Guest>({
    clock,
    at_once_max: options.greetings_max,
    turn_ms: TURN_MS,
    wait_ms: options.handshake_timeout_ms,
    greet: ({ greet }) => greet(),
    turnAway({ socket }) {
      counters.refused_turn += 1;
      socket.destroy();
    },
  });
  let open = true;

  /** Nothing of a socket is read before its turn (pauseOnConnect). */
  async function openDoor(address: Address, guestOf: (socket: Socket) => Guest): Promise<number> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      if (!accept(socket)) return;
      const guest = guestOf(socket);
      socket.once('close', () => greeting.done(guest));
      greeting.knock(guest);
    });
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
    // Cut while it waits: nobody else listens yet.
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    return true;
  }

  if (mqtt !== undefined) {
    ports.mqtt = await openDoor(mqtt, (socket) => {
      const guest: Guest = {
        socket,
        greet: () => options.serve(socket, () => greeting.done(guest)),
      };
      return guest;
    });
  }
  if (mqtts !== undefined) {
    // A secured socket does not tell which one it secures, but both have the same other end.
    const guests = new Map<string, Guest>();
    const farEnd = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
    const secure = tlsOver(options, (secured) => {
      const guest = guests.get(farEnd(secured));
      options.serve(secured, () => guest && greeting.done(guest));
    });
    ports.mqtts = await openDoor(mqtts, (socket) => {
      const guest: Guest = { socket, greet: () => secure(socket) };
      const end = farEnd(socket);
      guests.set(end, guest);
      socket.once('close', () => guests.delete(end));
      return guest;
    });
  }
  return {
    ports,
    get connections() {
      return sockets.size;
    },
    get waiting() {
      return greeting.waiting;
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
