/** Real ptys pulled out and plugged in again under traffic: found again by itself, nothing stale, nothing spinning. */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { serialLine } from '@waystation/edge/bus/serial-line';
import { stationIo } from '@waystation/edge/bus/station-io';
import type { ByteLine } from '@waystation/edge/ports';
import { serialReader } from '@waystation/edge/reader/serial-reader';
import { openPty } from '@waystation/firmware-sim/pty';
import { createStation } from '@waystation/firmware-sim/station';
import { DENIALS } from '@waystation/protocol/access';
import { stationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { temporaryDirectory } from '../servers/process.ts';

const SEED = 4;
const BAUD = 115_200;
const WRITE_COIL = 5;
const clock = systemClock();
const random = prng(SEED);
const directory = temporaryDirectory('unplug');
afterAll(() => directory.remove());

/** A simulated station on two ptys and the agent's ends of them. */
function bench(name: string) {
  const bus = openPty({ link: join(directory.path, `${name}-bus`) });
  const scanner = openPty({ link: join(directory.path, `${name}-reader`) });
  const station = createStation({
    code: stationCode('370102001', 'W', 1),
    clock,
    random,
    bus,
    reader: scanner,
  });
  const lines = {
    bus: serialLine({ path: bus.path, baud: BAUD }, clock, random, silentLog),
    reader: serialLine({ path: scanner.path, baud: BAUD }, clock, random, silentLog),
  };
  const io = stationIo({
    line: lines.bus,
    clock,
    random,
    log: silentLog,
    baud: BAUD,
    release_ms: 5000,
    inputs_interval_ms: 20,
    reply_timeout_ms: 5000, // a busy test machine is not a fault of the line
  });
  const reader = serialReader({ line: lines.reader, clock, log: silentLog });
  const end = async () => {
    await io.stop();
    await reader.stop();
    bus.close();
    scanner.close();
  };
  return { bus, scanner, station, lines, io, reader, end };
}

/** Resolves with the next event of each kind. */
function signals<Kind extends string>() {
  const waiting = new Map<Kind, (() => void)[]>();
  return {
    tell(kind: Kind) {
      for (const wake of waiting.get(kind)?.splice(0) ?? []) wake();
    },
    next: (kind: Kind) =>
      new Promise<void>((wake) => {
        waiting.set(kind, [...(waiting.get(kind) ?? []), wake]);
      }),
  };
}
function lineSignals(line: ByteLine) {
  const signal = signals<'up' | 'down'>();
  line.onUp(() => signal.tell('up'));
  line.onDown(() => signal.tell('down'));
  return signal;
}
const percentile = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;

describe('the field bus', () => {
  test('thirty times unplugged under traffic: back by itself, no command of before is ever sent', async () => {
    const { bus, station, lines, io, end } = bench('cycles');
    const coil_frames: number[] = [];
    bus.onData((bytes) => {
      if (bytes[1] === WRITE_COIL) coil_frames.push(bytes[3] ?? -1);
    });
    const line = lineSignals(lines.bus);
    const signal = signals<'inputs'>();
    io.onInputs(() => signal.tell('inputs'));
    io.start();
    await signal.next('inputs');
    const noticed_ms: number[] = [];
    const back_ms: number[] = [];
    for (let cycle = 0; cycle < 30; cycle += 1) {
      const down = line.next('down');
      const pulled_at = clock.mono();
      station.unplug('bus');
      await down;
      noticed_ms.push(clock.mono() - pulled_at);
      const refused = await io
        .setLockRelease(true, { expire_ms: 60_000 })
        .catch((error: unknown) => error);
      expect(isFault(refused, 'SERIAL_CLOSED')).toBe(true);
      await clock.sleep(random() * 200);
      const inputs = signal.next('inputs');
      const plugged_at = clock.mono();
      station.replug('bus');
      await inputs;
      back_ms.push(clock.mono() - plugged_at);
    }
    expect(coil_frames).toEqual([]);
    await io.setLockRelease(true, { expire_ms: 10_000 });
    expect(coil_frames).toEqual([0]);
    console.log(
      `unplugged: noticed in ${percentile(noticed_ms, 0.5).toFixed(1)} ms (most ${Math.max(...noticed_ms).toFixed(1)}), ` +
        `in service ${percentile(back_ms, 0.5).toFixed(0)} ms after the plug (most ${Math.max(...back_ms).toFixed(0)})`,
    );
    expect(Math.max(...back_ms)).toBeLessThan(5500);
    await end();
  });

  test('unplugged in the middle of a flood, a hundred times: always noticed, and no busy loop is left', async () => {
    const pty = openPty({ link: join(directory.path, 'flood') });
    const line = serialLine({ path: pty.path, baud: BAUD }, clock, random, silentLog);
    const signal = lineSignals(line);
    const flood = new Uint8Array(3000).fill(0x55);
    await signal.next('up');
    let heard = signals<'data'>();
    line.onData(() => heard.tell('data'));
    for (let cycle = 0; cycle < 100; cycle += 1) {
      heard = signals<'data'>();
      const data = heard.next('data');
      pty.write(flood);
      await data;
      pty.write(flood);
      const [down, up] = [signal.next('down'), signal.next('up')];
      pty.unplug();
      await down;
      pty.replug();
      await up;
    }
    const down = signal.next('down');
    pty.unplug();
    await down;
    const before = process.cpuUsage();
    await clock.sleep(500);
    const used_ms = Object.values(process.cpuUsage(before)).reduce((sum, us) => sum + us, 0) / 1000;
    console.log(`after 100 floods cut off: ${used_ms.toFixed(0)} ms CPU in 500 ms of waiting`);
    expect(used_ms).toBeLessThan(250);
    await line.close();
  });
});

test('a port that is not there is looked for until it is, and said once', async () => {
  const link = join(directory.path, 'later');
  const said: string[] = [];
  const signal = signals<'lost' | 'restored'>();
  const line = serialLine({ path: link, baud: BAUD }, clock, random, (_, event, facts) => {
    said.push(`${event} ${facts?.['reason'] ?? ''}`);
    signal.tell(event === 'serial.lost' ? 'lost' : 'restored');
  });
  await signal.next('lost');
  await clock.sleep(400); // several attempts
  const restored = signal.next('restored');
  const pty = openPty({ link });
  await restored;
  expect(line.isOpen).toBe(true);
  expect(said).toEqual([expect.stringMatching(/^serial.lost .*No such file/), 'serial.restored ']);
  const second = serialLine({ path: link, baud: BAUD }, clock, random, (_, _event, facts) => {
    said.push(String(facts?.['reason']));
    signal.tell('lost');
  });
  await signal.next('lost');
  expect(said.at(-1)).toMatch(/lock/i); // two agents on one port: the second one is refused
  await second.close();
  await line.close();
  pty.close();
});

describe('the reader', () => {
  const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

  test('every code of 400 arrives as it was scanned, and the decision comes back', async () => {
    const { station, lines, reader, end } = bench('reader');
    if (!lines.reader.isOpen) await lineSignals(lines.reader).next('up');
    const read: string[] = [];
    reader.onLine((line) => {
      read.push(Buffer.from(line).toString('latin1'));
      reader.answer({ outcome: 'denied', denial: 'closed' }, DENIALS.closed);
    });
    reader.start();
    const codes = Array.from({ length: 400 }, () => {
      const char = () => BASE45[Math.floor(random() * BASE45.length)];
      return ` WS1:${Array.from({ length: 350 }, char).join('')} `;
    });
    for (const code of codes) {
      expect(await station.scan(code)).toMatchObject({
        outcome: 'denied',
        denial: 'closed',
        sentence: DENIALS.closed.zh,
      });
    }
    expect(read).toEqual(codes);
    await end();
  });

  test('answers that the wire does not take are dropped, and scanning goes on', async () => {
    const { station, lines, reader, end } = bench('deaf');
    if (!lines.reader.isOpen) await lineSignals(lines.reader).next('up');
    reader.start();
    for (let count = 0; count < 2000; count += 1)
      reader.answer({ outcome: 'denied', denial: 'revoked' }, DENIALS.revoked);
    expect(reader.counters().dropped_answers).toBeGreaterThan(100);
    const signal = signals<'line'>();
    reader.onLine(() => signal.tell('line'));
    if (!lines.reader.isOpen) await lineSignals(lines.reader).next('up');
    const line = signal.next('line');
    station.reader.scan('WS1:STILL HERE');
    await line;
    await end();
  });
});
