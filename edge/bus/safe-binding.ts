/** A serial port straight on serialport's native binding, without the traps of its stream: no queue, no silent reopening. */
import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { autoDetect } from '@serialport/bindings-cpp';
import { Fault } from '@waystation/runtime/fault';

export interface SerialOptions {
  /** A stable name (udev by-id, or the simulator's link): /dev/pts/N and ttyUSBN are given away again at once. */
  path: string;
  baud: number;
  parity?: 'none' | 'even' | 'odd';
}

/** One connection; when it is lost it is gone, and a fresh one is opened. */
export interface OpenPort {
  /** Hands the bytes to the kernel now, whole, or throws Fault SERIAL_CLOSED and the connection is over. */
  write(bytes: Uint8Array): void;
  /** Resolves when the file descriptor is given back. Calls no listener. */
  close(): Promise<void>;
}

export interface PortListeners {
  /** `bytes` is a view of a buffer that is used again. */
  data(bytes: Uint8Array): void;
  /** Once, when the connection is lost by itself. `close()` has still to be called. */
  lost(reason: string): void;
}

const READ_BYTES = 1024;

/**
 * Opens `path` and reads from it until it is lost or closed. Rejects with Fault SERIAL_OPEN_FAILED.
 * The descriptor is non-blocking, so reads and writes are plain calls: none waits in the thread pool behind a name look-up or a disk.
 */
export async function openPort(options: SerialOptions, on: PortListeners): Promise<OpenPort> {
  const port = await openBinding(options);
  const pool = Buffer.allocUnsafe(READ_BYTES);
  let over = false;

  const lose = (reason: string) => {
    if (over) return;
    over = true;
    on.lost(reason);
  };
  const readable = (error: Error | null) => {
    if (over || port.fd === null) return;
    if (error) return lose(error.message);
    const count = readNow(port.fd, pool);
    if (typeof count === 'string') return lose(count);
    port.poller.once('readable', readable);
    if (count > 0) on.data(pool.subarray(0, count));
    // Since Node 26.4 promises settled in a native poll callback wait for the loop's next event: make one.
    setImmediate(() => {});
  };
  port.poller.once('readable', readable);

  return {
    write(bytes) {
      if (over || port.fd === null) throw new Fault('SERIAL_CLOSED', { path: options.path });
      const problem = writeNow(port.fd, bytes);
      if (problem === null) return;
      lose(problem);
      throw new Fault('SERIAL_CLOSED', { path: options.path, problem });
    },
    async close() {
      over = true;
      if (port.isOpen) await port.close();
    },
  };
}

async function openBinding({ path, baud, parity = 'none' }: SerialOptions) {
  try {
    const port = await autoDetect().open({ path, baudRate: baud, parity });
    try {
      await port.flush(); // what came before is not for us
      assert('poller' in port, 'the agent runs on Linux and macOS, where ports can be polled');
      return port;
    } catch (error) {
      await port.close();
      throw error;
    }
  } catch (cause) {
    throw new Fault('SERIAL_OPEN_FAILED', { path, problem: message(cause) }, cause);
  }
}

/** Number of bytes read, 0 when there is nothing yet, or why the line is lost. An end of file is a hang-up: the binding would spin on it. */
function readNow(fd: number, pool: Buffer): number | string {
  try {
    const count = readSync(fd, pool, 0, pool.length, null);
    return count === 0 ? 'hang-up' : count;
  } catch (error) {
    return isTransient(error) ? 0 : message(error);
  }
}

/** null when all bytes are with the kernel. A full kernel buffer means that the line is stuck: what would wait there is stale when it moves. */
function writeNow(fd: number, bytes: Uint8Array): string | null {
  try {
    const written = writeSync(fd, bytes);
    return written === bytes.length ? null : 'stuck: the line takes no more bytes';
  } catch (error) {
    return isTransient(error) ? 'stuck: the line takes no bytes' : message(error);
  }
}

function isTransient(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR')
  );
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
