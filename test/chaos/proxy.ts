/** A wire between two processes that can be made slow, deaf or dead by order. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import assert from 'node:assert/strict';
import type { Clock } from '@waystation/runtime/clock';

export type Weather =
  | { w: 'pass' }
  | { w: 'delay'; delay_ms: number }
  | { w: 'throttle'; bytes_per_s: number }
  /** Every connection ends, a new one is closed at once. */
  | { w: 'cut' }
  /** Connections are taken and what comes is swallowed, both ways; nobody hears of an end. */
  | { w: 'blackHole' }
  /** Nothing is read: the sender's buffers fill up. */
  | { w: 'stall' };

export interface ProxyOptions {
  clock: Clock;
  /** Ports to dial, asked anew for each connection, used in turn; one that refuses is passed over. */
  targets: () => readonly number[];
  /** Told of each connection; what it returns hears every byte that the dialling side sent. */
  tap?: () => (bytes: Buffer) => void;
}

export interface Proxy {
  readonly port: number;
  readonly counts: Readonly<{ connections: number; refused: number; swallowed_bytes: number }>;
  set(weather: Weather): void;
  close(): Promise<void>;
}

/** A connection holds at most so many bytes on their way; above it the sender is not read. */
const HELD_BYTES_MAX = 256 * 1024;

interface Link {
  sides: readonly [Socket, Socket];
  /** Bytes are missing in it: it cannot go on. */
  broken: boolean;
}

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { clock, targets } = options;
  const links = new Set<Link>();
  const counts = { connections: 0, refused: 0, swallowed_bytes: 0 };
  let weather: Weather = { w: 'pass' };
  let turn = 0;
  const deaf = () => weather.w === 'blackHole' || weather.w === 'stall';

  const destroy = (link: Link) => {
    links.delete(link);
    for (const side of link.sides) side.destroy();
  };

  /** Carries one direction: in order, each chunk as late as the weather of its arrival says. */
  const carry = (link: Link, from: Socket, to: Socket, heard: (bytes: Buffer) => void) => {
    let held_bytes = 0;
    let way: Promise<unknown> = Promise.resolve();
    const deliver = async (bytes: Buffer, due_at: number, met: Weather) => {
      if (met.w === 'delay') await clock.sleep(Math.max(0, due_at - clock.mono()));
      if (met.w === 'throttle') await clock.sleep((bytes.length / met.bytes_per_s) * 1000);
      if (weather.w === 'blackHole') link.broken = true;
      else if (!to.destroyed && !to.write(bytes)) await Promise.race([once(to, 'drain'), gone]);
      held_bytes -= bytes.length;
      if (held_bytes < HELD_BYTES_MAX && weather.w !== 'stall') from.resume();
    };
    const gone = once(to, 'close').catch(() => {});
    from.on('data', (bytes: Buffer) => {
      heard(bytes);
      if (weather.w === 'blackHole') {
        link.broken = true;
        counts.swallowed_bytes += bytes.length;
        return;
      }
      const met = weather;
      const due_at = clock.mono() + (met.w === 'delay' ? met.delay_ms : 0);
      held_bytes += bytes.length;
      if (held_bytes >= HELD_BYTES_MAX) from.pause();
      way = way.then(() => deliver(bytes, due_at, met)).catch(() => destroy(link));
    });
    from.on('end', () => {
      // Behind a black hole an end is lost like everything else.
      if (weather.w === 'blackHole') link.broken = true;
      else void way.then(() => to.end());
    });
    from.on('close', () => {
      if (deaf()) link.broken = true;
      else void way.then(() => destroy(link));
    });
    from.on('error', () => {}); // 'close' follows
  };

  const dial = async (): Promise<Socket | null> => {
    const ports = targets();
    for (let tries = 0; tries < ports.length; tries += 1) {
      const port = ports[turn++ % ports.length] ?? 0;
      const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
      const open = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      if (open) return socket;
      socket.destroy();
    }
    return null;
  };

  const server = createServer({ noDelay: true, pauseOnConnect: true }, (near) => {
    counts.connections += 1;
    near.on('error', () => {});
    if (weather.w === 'cut') {
      counts.refused += 1;
      near.destroy();
      return;
    }
    void dial().then((far) => {
      if (far === null || near.destroyed || weather.w === 'cut') {
        counts.refused += 1;
        near.destroy();
        far?.destroy();
        return;
      }
      const link: Link = { sides: [near, far], broken: false };
      links.add(link);
      carry(link, near, far, options.tap?.() ?? (() => {}));
      carry(link, far, near, () => {});
      if (weather.w === 'stall') far.pause();
      else near.resume();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(address !== null && typeof address === 'object');

  return {
    port: address.port,
    counts,
    set(next) {
      weather = next;
      for (const link of links) {
        if (next.w === 'cut' || (link.broken && next.w !== 'blackHole')) destroy(link);
        else if (next.w === 'stall') for (const side of link.sides) side.pause();
        else for (const side of link.sides) side.resume();
      }
    },
    async close() {
      server.close();
      for (const link of links) destroy(link);
      if (server.listening) await once(server, 'close');
    },
  };
}
