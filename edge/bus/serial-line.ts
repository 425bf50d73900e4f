/** A byte line on a real serial port that comes back by itself after every unplugging. */
import { backoff } from '@waystation/runtime/backoff';
import type { Clock } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { ByteLine } from '../ports.ts';
import { openPort, type OpenPort, type SerialOptions } from './safe-binding.ts';

const RECONNECT = { first_ms: 100, max_ms: 5000 } as const;

/**
 * Starts to connect at once and keeps trying, 0.1 to 5 s apart with jitter; each connection is a fresh port.
 * A listener added later than the connection hears nothing of it: look at `isOpen`.
 */
export function serialLine(
  options: SerialOptions,
  clock: Clock,
  random: () => number,
  log: Log,
): ByteLine {
  const data: ((bytes: Uint8Array) => void)[] = [];
  const up: (() => void)[] = [];
  const down: (() => void)[] = [];
  const outage = outageLog(log, clock, 'serial.lost', 'serial.restored');
  const ending = new AbortController();
  let port: OpenPort | null = null;
  let end = (_reason: string) => {};

  const drop = () => {
    if (port === null) return;
    port = null;
    for (const listener of down) listener();
  };
  /** One connection, from its opening until it is over; false when there was none. */
  const connect = async (): Promise<boolean> => {
    const over = new Promise<string>((resolve) => (end = resolve));
    const heard = (bytes: Uint8Array) => {
      for (const listener of data) listener(bytes);
    };
    const lost = (reason: string) => {
      drop();
      end(reason);
    };
    const opened = await open(heard, lost);
    if (opened === null) return false;
    if (!ending.signal.aborted) {
      port = opened;
      outage.worked({ path: options.path });
      for (const listener of up) listener();
      const reason = await over;
      drop();
      if (!ending.signal.aborted) outage.failed({ path: options.path, reason });
    }
    await opened.close();
    return true;
  };
  const open = async (heard: (bytes: Uint8Array) => void, lost: (reason: string) => void) => {
    try {
      return await openPort(options, { data: heard, lost });
    } catch (error) {
      if (!isFault(error, 'SERIAL_OPEN_FAILED')) throw error;
      outage.failed({ path: options.path, reason: String(error.facts.problem) });
      return null;
    }
  };
  const run = async () => {
    let waits = backoff(random, RECONNECT);
    while (!ending.signal.aborted) {
      if (await connect()) waits = backoff(random, RECONNECT);
      await clock.sleep(waits.next().value, ending.signal);
    }
  };
  const running = run();

  return {
    get isOpen() {
      return port !== null;
    },
    write(bytes) {
      if (port === null) throw new Fault('SERIAL_CLOSED', { path: options.path });
      port.write(bytes);
    },
    onData: (listener) => void data.push(listener),
    onUp: (listener) => void up.push(listener),
    onDown: (listener) => void down.push(listener),
    async close() {
      ending.abort();
      end('closed');
      drop();
      await running;
    },
  };
}
