/** A pseudo-terminal opened from Node: the agent opens the slave as a serial port, the simulator holds the master. */
import {
  closeSync,
  constants,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { ReadStream } from 'node:tty';
import koffi from 'koffi';
import { Fault } from '@waystation/runtime/fault';

/** Larger than `struct termios` of every libc; the fields are only ever touched by `cfmakeraw`. */
const TERMIOS_BYTES = 128;
/** `O_CLOEXEC` of Linux, which node:fs does not name: children of the simulator must not hold the line. */
const O_CLOEXEC = 0o2000000;
const TCSANOW = 0;
export interface Pty {
  /** What the agent opens: the stable link when one was asked for, else the pty itself (which `replug` changes). */
  readonly path: string;
  readonly plugged: boolean;
  /** Bytes lost on the way to the agent: unplugged, or it does not read and the terminal's 4 KiB are full. */
  readonly lost_bytes: number;
  write(bytes: Uint8Array): void;
  /** Bytes from the agent. The listener must not keep `bytes`. Stays registered over unplug and replug. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Pulls the plug: the agent's open port hangs up and the link is gone. */
  unplug(): void;
  /** A new pty behind the same link. */
  replug(): void;
  close(): void;
}

interface Terminal {
  openMaster(flags: number): number;
  unlock(master: number): number;
  slaveName(master: number): string | null;
  getAttributes(fd: number, termios: Uint8Array): number;
  makeRaw(termios: Uint8Array): void;
  setAttributes(fd: number, when: number, termios: Uint8Array): number;
}

let terminal: Terminal | undefined;

/** Bound on first use, so that importing this file costs nothing. */
function libc(): Terminal {
  if (terminal) return terminal;
  const library = koffi.load(null);
  terminal = {
    openMaster: library.func('int posix_openpt(int)'),
    unlock: library.func('int unlockpt(int)'),
    slaveName: library.func('const char *ptsname(int)'),
    getAttributes: library.func('int tcgetattr(int, _Out_ uint8_t *)'),
    makeRaw: library.func('void cfmakeraw(_Inout_ uint8_t *)'),
    setAttributes: library.func('int tcsetattr(int, int, const uint8_t *)'),
  };
  return terminal;
}

interface Pair {
  slave_path: string;
  /** Kept open: without any slave the master reads EIO each time the agent closes its port. */
  slave: number;
  master: number;
  stream: ReadStream;
}

function openPair(): Pair {
  const c = libc();
  const master = c.openMaster(
    constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | O_CLOEXEC,
  );
  if (master < 0)
    throw new Fault('SERIAL_OPEN_FAILED', {
      path: '/dev/ptmx',
      problem: 'no pseudo-terminal is left',
    });
  const slave_path = c.unlock(master) === 0 ? c.slaveName(master) : null;
  if (slave_path === null) {
    closeSync(master);
    throw new Fault('SERIAL_OPEN_FAILED', {
      path: '/dev/ptmx',
      problem: 'the pseudo-terminal has no name',
    });
  }
  const slave = openSync(slave_path, constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC);
  // A fresh pty echoes and edits lines: raw before anybody can write to it.
  const termios = new Uint8Array(TERMIOS_BYTES);
  c.getAttributes(slave, termios);
  c.makeRaw(termios);
  c.setAttributes(slave, TCSANOW, termios);
  return { slave_path, slave, master, stream: new ReadStream(master) };
}

/**
 * Returns how many bytes the terminal took. Not through the stream: libuv writes to a pty master as to a blocking file
 * and spins for ever when nobody reads the other side. A UART has no queue either.
 */
function writeNow(master: number, bytes: Uint8Array): number {
  try {
    return writeSync(master, bytes);
  } catch {
    return 0; // EAGAIN: the terminal's 4 KiB are full; EIO: the agent hung up
  }
}

/** Points `link` at `target` in one step, so that no one ever finds half a link. */
function pointLink(link: string, target: string): void {
  const fresh = `${link}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameSync(fresh, link);
}

function dropLink(link: string, target: string): void {
  try {
    if (readlinkSync(link) !== target) return;
  } catch {
    return; // nobody's link any more
  }
  rmSync(link, { force: true });
}

/**
 * Opens a pty, raw before its first use. `link` is a stable name for it: `/dev/pts/N` is given to somebody else
 * as soon as it is closed, so an agent that is to survive a replug must open the link.
 * Throws Fault SERIAL_OPEN_FAILED when the system has no pty left.
 */
export function openPty(options: { link?: string } = {}): Pty {
  const listeners: ((bytes: Uint8Array) => void)[] = [];
  let pair: Pair | null = null;
  let slave_path = '';
  let lost_bytes = 0;

  const plug = () => {
    if (pair) return;
    pair = openPair();
    slave_path = pair.slave_path;
    pair.stream.on('error', () => {}); // EIO of a hang-up: `unplug` is the only way to end a pair
    pair.stream.on('data', (bytes: Uint8Array) => {
      for (const listener of listeners) listener(bytes);
    });
    if (options.link !== undefined) pointLink(options.link, slave_path);
  };
  const unplug = () => {
    if (!pair) return;
    if (options.link !== undefined) dropLink(options.link, slave_path);
    pair.stream.destroy();
    closeSync(pair.slave);
    pair = null;
  };

  plug();
  return {
    get path() {
      return options.link ?? slave_path;
    },
    get plugged() {
      return pair !== null;
    },
    get lost_bytes() {
      return lost_bytes;
    },
    write(bytes) {
      lost_bytes += bytes.length - (pair ? writeNow(pair.master, bytes) : 0);
    },
    onData(listener) {
      listeners.push(listener);
    },
    unplug,
    replug() {
      unplug();
      plug();
    },
    close: unplug,
  };
}
