import { existsSync, lstatSync, mkdtempSync, openSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { SerialPort } from 'serialport';
import { afterEach, expect, test } from 'vitest';
import { openPty, type Pty } from './pty.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

function newPty(options?: { link?: string }): Pty {
  const pty = openPty(options);
  cleanup.push(() => pty.close());
  return pty;
}

async function openPort(path: string): Promise<SerialPort> {
  const port = new SerialPort({ path, baudRate: 115200, autoOpen: false });
  port.on('error', () => {});
  await new Promise<void>((resolve, reject) =>
    port.open((error) => (error ? reject(error) : resolve())),
  );
  cleanup.push(() =>
    port.isOpen ? new Promise<void>((resolve) => port.close(() => resolve())) : undefined,
  );
  return port;
}

/** Resolves with the first `count` bytes. */
function take(
  count: number,
  listen: (listener: (bytes: Uint8Array) => void) => unknown,
): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    listen((bytes) => {
      parts.push(Buffer.from(bytes));
      const all = Buffer.concat(parts);
      if (all.length >= count) resolve(all);
    });
  });
}

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, index) => index);

test('all 256 byte values pass both ways, unechoed and unchanged', async () => {
  const pty = newPty();
  const port = await openPort(pty.path);
  const toDevice = take(256, (listener) => pty.onData(listener));
  port.write(EVERY_BYTE);
  expect((await toDevice).equals(EVERY_BYTE)).toBe(true);
  const toAgent = take(256, (listener) => port.on('data', listener));
  pty.write(EVERY_BYTE);
  expect((await toAgent).equals(EVERY_BYTE)).toBe(true);
});

test('it is raw before anybody sets it so: control bytes pass, nothing is echoed', async () => {
  const pty = newPty();
  const terminal = new ReadStream(openSync(pty.path, 'r+'));
  cleanup.push(() => terminal.destroy());
  let echoed = 0;
  pty.onData((bytes) => (echoed += bytes.length));
  const arrived = take(256, (listener) => terminal.on('data', listener));
  pty.write(EVERY_BYTE);
  expect((await arrived).equals(EVERY_BYTE)).toBe(true);
  const heard = take(2, (listener) => pty.onData(listener));
  terminal.write('\r\n');
  expect([...(await heard)]).toEqual([13, 10]);
  expect(echoed).toBe(2);
});

test('the line outlives the agent closing and opening its port', async () => {
  const pty = newPty();
  const first = await openPort(pty.path);
  await new Promise<void>((resolve) => first.close(() => resolve()));
  const second = await openPort(pty.path);
  const got = take(2, (listener) => pty.onData(listener));
  second.write(Buffer.from('hi'));
  expect((await got).toString()).toBe('hi');
});

test('unplug hangs the port up and takes the link away; replug serves behind the same link', async () => {
  const link = join(mkdtempSync(join(tmpdir(), 'pty-')), 'bus');
  const pty = newPty({ link });
  expect(pty.path).toBe(link);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  const terminal = new ReadStream(openSync(link, 'r+')); // serialport itself loops on some hang-ups
  const hungUp = new Promise<void>((resolve) =>
    terminal.on('error', () => resolve()).on('end', () => resolve()),
  );
  terminal.resume();
  pty.unplug();
  await hungUp;
  terminal.destroy();
  expect(existsSync(link)).toBe(false);
  pty.write(Buffer.from('lost'));
  expect(pty.lost_bytes).toBe(4);

  pty.replug();
  expect(pty.plugged).toBe(true);
  expect(readlinkSync(link)).toMatch(/^\/dev\/pts\/\d+$/);
  const again = await openPort(link);
  const got = take(5, (listener) => pty.onData(listener));
  again.write(Buffer.from('again'));
  expect((await got).toString()).toBe('again');
});

test('what the agent does not read is lost and counted, never queued without end', () => {
  const pty = newPty();
  const block = new Uint8Array(32 * 1024);
  for (let round = 0; round < 20; round++) pty.write(block);
  expect(pty.lost_bytes).toBeGreaterThan(10 * block.length);
});
