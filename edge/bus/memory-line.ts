/** A byte line without a serial port: for the fleet, for simulations and for tests. */
import { Fault } from '@waystation/runtime/fault';
import type { Clock } from '@waystation/runtime/clock';
import type { ByteLine } from '../ports.ts';

/** The far end, where a simulated device sits. Bytes written while unplugged are lost, as on a real line. */
export interface MemoryDevice {
  write(bytes: Uint8Array): void;
  onData(listener: (bytes: Uint8Array) => void): void;
  unplug(): void;
  replug(): void;
}

/**
 * Two ends of one line, plugged in. Bytes arrive in order, in a later turn, after `latency_ms` (0: the next microtask, no timer).
 * What is under way when the line is unplugged never arrives.
 */
export function memoryLinePair(
  clock: Pick<Clock, 'after'>,
  options: { latency_ms?: number } = {},
): { agent: ByteLine; device: MemoryDevice } {
  const latency_ms = options.latency_ms ?? 0;
  const heard_by_agent: ((bytes: Uint8Array) => void)[] = [];
  const heard_by_device: ((bytes: Uint8Array) => void)[] = [];
  const up: (() => void)[] = [];
  const down: (() => void)[] = [];
  let plugged = true;
  let closed = false;
  let connection = 0;

  const carry = (bytes: Uint8Array, listeners: readonly ((bytes: Uint8Array) => void)[]) => {
    const copy = bytes.slice();
    const sent_on = connection;
    const deliver = () => {
      if (sent_on !== connection) return;
      for (const listener of listeners) listener(copy);
    };
    if (latency_ms > 0) clock.after(latency_ms, deliver);
    else queueMicrotask(deliver);
  };
  const lose = () => {
    connection += 1;
    for (const listener of down) listener();
  };
  const isOpen = () => plugged && !closed;

  const agent: ByteLine = {
    get isOpen() {
      return isOpen();
    },
    write(bytes) {
      if (!isOpen()) throw new Fault('SERIAL_CLOSED', { path: 'memory' });
      carry(bytes, heard_by_device);
    },
    onData: (listener) => void heard_by_agent.push(listener),
    onUp: (listener) => void up.push(listener),
    onDown: (listener) => void down.push(listener),
    async close() {
      if (closed) return;
      const was_open = isOpen();
      closed = true;
      if (was_open) lose();
    },
  };
  const device: MemoryDevice = {
    write(bytes) {
      if (isOpen()) carry(bytes, heard_by_agent);
    },
    onData: (listener) => void heard_by_device.push(listener),
    unplug() {
      if (!isOpen()) return;
      plugged = false;
      lose();
    },
    replug() {
      if (plugged || closed) return;
      plugged = true;
      for (const listener of up) listener();
    },
  };
  return { agent, device };
}
