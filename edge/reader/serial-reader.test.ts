import { describe, expect, test } from 'vitest';
import { DENIALS, WELCOME } from '@waystation/protocol/access';
import { fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { memoryLinePair } from '../bus/memory-line.ts';
import { serialReader } from './serial-reader.ts';

function bench(options: { plugged?: boolean } = {}) {
  const clock = fakeClock();
  const { agent, device } = memoryLinePair(clock);
  if (options.plugged === false) device.unplug();
  const reader = serialReader({ line: agent, clock, log: silentLog });
  const lines: string[] = [];
  const online: string[] = [];
  let shown = '';
  reader.onLine((line, at) => lines.push(`${at} ${Buffer.from(line).toString()}`));
  reader.onOnline((is, reason) => online.push(`${is ? 'online' : 'offline'}: ${reason}`));
  device.onData((bytes) => {
    shown += Buffer.from(bytes).toString();
  });
  const scan = async (text: string, wait_ms = 0) => {
    device.write(Buffer.from(text));
    await clock.advance(wait_ms);
  };
  return { clock, device, reader, lines, online, scan, shown: () => shown };
}

describe('readings', () => {
  test('a phone held still is one reading, however long; another code or a pause is a new one', async () => {
    const { clock, reader, lines, scan } = bench();
    reader.start();
    for (let count = 0; count < 10; count += 1) await scan('WS1:A\r\n', 500);
    await scan('WS1:B\r\n', 500);
    await scan('WS1:A\r\n', 2999);
    await scan('WS1:A\r\n', 3000);
    await scan('WS1:A\r\n');
    expect(lines).toEqual(['0 WS1:A', '5000 WS1:B', '5500 WS1:A', '11499 WS1:A']);
    expect(clock.mono()).toBe(11_499);
    expect(reader.counters()).toMatchObject({ lines: 14, repeated_lines: 10 });
  });

  test('what a scanner says when it saw nothing is no reading', async () => {
    const { reader, lines, scan } = bench();
    reader.start();
    await scan('%%NoRead\r\n\r\nWS1:A \r');
    expect(lines).toEqual(['0 WS1:A ']);
    expect(reader.counters().empty_readings).toBe(1);
  });

  test('begin with the start and end with the stop', async () => {
    const { reader, lines, scan } = bench();
    await scan('WS1:EARLY\r');
    reader.start();
    await scan('WS1:A\r');
    await reader.stop();
    await scan('WS1:LATE\r');
    expect(lines).toEqual(['0 WS1:A']);
  });

  test('half a line does not survive the cable', async () => {
    const { device, reader, lines, scan } = bench();
    reader.start();
    await scan('WS1:HA');
    device.unplug();
    device.replug();
    await scan('LF\r');
    expect(lines).toEqual(['0 LF']);
  });
});

describe('answers', () => {
  test('go to the display as one line each', async () => {
    const { clock, reader, shown } = bench();
    reader.start();
    reader.answer({ outcome: 'granted' }, WELCOME);
    reader.answer({ outcome: 'denied', denial: 'revoked' }, DENIALS.revoked);
    await clock.advance(0);
    expect(shown()).toBe(`+granted;门已开，请进。\r\n-revoked;${DENIALS.revoked.zh}\r\n`);
  });

  test('are dropped when nobody is there', () => {
    const { device, reader } = bench();
    reader.start();
    device.unplug();
    reader.answer({ outcome: 'granted' }, WELCOME);
    expect(reader.counters().dropped_answers).toBe(1);
  });
});

describe('presence', () => {
  test('is told once for each change', async () => {
    const { clock, device, reader, online } = bench();
    reader.start();
    device.unplug();
    await clock.advance(60_000);
    device.replug();
    expect(online).toEqual(['online: line open', 'offline: line closed', 'online: line open']);
  });

  test('a reader that is not there at the start is told after a moment, not at once', async () => {
    const { clock, reader, online } = bench({ plugged: false });
    reader.start();
    await clock.advance(2999);
    expect(online).toEqual([]);
    await clock.advance(60_000);
    expect(online).toEqual(['offline: not found']);
  });
});
