/** The simulator as people and other processes use it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { ReadStream } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startSimulator, type Simulator } from './process.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

async function start(...args: string[]): Promise<Simulator> {
  const simulator = await startSimulator(args);
  cleanup.push(() => simulator.stop());
  return simulator;
}

function openTerminal(path: string): ReadStream {
  const terminal = new ReadStream(openSync(path, 'r+'));
  terminal.on('error', () => {});
  cleanup.push(() => terminal.destroy());
  return terminal;
}

/** Collects until `length` bytes came. */
async function take(stream: ReadStream, length: number): Promise<string> {
  const parts: Buffer[] = [];
  for (let count = 0; count < length;) {
    const [bytes]: Buffer[] = await once(stream, 'data');
    if (bytes) parts.push(bytes);
    count += bytes?.length ?? 0;
  }
  return Buffer.concat(parts).toString('latin1');
}

/** The whole base45 alphabet of RFC 9285, a space at both ends. */
const CODE = ' WS1:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./: ';

test('a QR line arrives byte for byte, typed at the prompt', async () => {
  const simulator = await start();
  const reader = openTerminal(simulator.reader);
  const arrived = take(reader, CODE.length + 2);
  const answered = simulator.type(`scan ${CODE}`, (text) => text.startsWith('granted'));
  expect(await arrived).toBe(`${CODE}\r\n`);
  reader.write('+granted;门已开，请进。\r\n');
  expect(await answered).toMatch(/^granted: 门已开，请进。 {2}\[\d+\.\d ms\]$/);
});

test('the prompt acts, answers, and refuses with a sentence', async () => {
  const simulator = await start();
  expect(await simulator.type('open')).toBe('refused');
  expect(await simulator.type('egress')).toBe('done');
  expect(await simulator.type('open')).toBe('leafOpened');
  expect(await simulator.type('fill water eighty')).toBe(
    'fill water: a whole number from 0 to 100',
  );
  expect(await simulator.type('fault crc 5')).toBe('5 x crc: a bit of the answer flips');
  await simulator.type('fill water 55');
  expect(await simulator.type('status', (text) => text.includes('water_level'))).toContain('55');
  expect(await simulator.type('quit')).toBe('bye');
});

test('unplug hangs up and removes the device; replug brings it back behind the same path', async () => {
  const simulator = await start();
  const first = openTerminal(simulator.reader);
  const hungUp = new Promise<void>((resolve) =>
    first.on('error', () => resolve()).on('end', () => resolve()),
  );
  first.resume();
  expect(await simulator.type('unplug reader')).toBe('reader unplugged');
  await hungUp;
  expect(existsSync(simulator.reader)).toBe(false);
  expect(await simulator.type('scan X')).toBe('no answer: the reader is unplugged');
  expect(await simulator.type('replug reader')).toBe('reader plugged in');
  const second = openTerminal(simulator.reader);
  const arrived = take(second, 3);
  void simulator.type('scan Y');
  expect(await arrived).toBe('Y\r\n');
});

test('other processes control it through the socket; it ends cleanly and takes its links along', async () => {
  const simulator = await start('--station', '370811011W0001N');
  const socket = connect(simulator.control);
  cleanup.push(() => socket.destroy());
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  const ask = async (request: unknown): Promise<unknown> => {
    socket.write(`${JSON.stringify(request)}\n`);
    return JSON.parse(String((await replies.next()).value));
  };
  expect(await ask({ do: 'stations' })).toEqual({ stations: ['370811011W0001N'] });
  const reader = openTerminal(simulator.reader);
  const arrived = take(reader, 8);
  const scanned = ask({ do: 'scan', station: '370811011W0001N', text: 'WS1:AB' });
  expect(await arrived).toBe('WS1:AB\r\n');
  reader.write('-malformed;二维码不完整，请刷新后再扫。\r\n');
  expect(await scanned).toMatchObject({
    outcome: 'denied',
    denial: 'malformed',
    decision_ms: expect.any(Number),
  });
  expect(await ask({ do: 'open' })).toEqual({ error: expect.stringMatching(/^do: /) });
  socket.end();

  expect(await simulator.stop()).toBe(0);
  expect(
    [simulator.field_bus, simulator.reader, simulator.control].filter((path) => existsSync(path)),
  ).toEqual([]);
});

test('wrong arguments end with what to do', async () => {
  await expect(startedWith('--station', '123')).resolves.toEqual(2);
  await expect(startedWith('--sead', '5')).resolves.toEqual(2);
});

async function startedWith(...args: string[]): Promise<unknown> {
  const entry = fileURLToPath(new URL('../../firmware-sim/main.ts', import.meta.url));
  const [code] = await once(spawn(process.execPath, [entry, ...args], { stdio: 'ignore' }), 'exit');
  return code;
}
