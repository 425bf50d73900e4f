import { expect, test } from 'vitest';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { answerControl } from './control-socket.ts';
import { createStation, type PluggableLine } from './station.ts';

const CODE = stationCode('370811011', 'W', 1);
const RELEASE = Uint8Array.from(Buffer.from('01050000ff008c3a', 'hex'));

/** The agent's side, by hand: `toDevice` is what an agent would write. */
function handLine(): PluggableLine & {
  sent: string[];
  toDevice: (bytes: Uint8Array) => void;
  plugs: string[];
} {
  const listeners: ((bytes: Uint8Array) => void)[] = [];
  const sent: string[] = [];
  const plugs: string[] = [];
  return {
    sent,
    plugs,
    write: (bytes) => sent.push(Buffer.from(bytes).toString('latin1')),
    onData: (listener) => listeners.push(listener),
    unplug: () => plugs.push('out'),
    replug: () => plugs.push('in'),
    toDevice: (bytes) => {
      for (const listener of listeners) listener(bytes);
    },
  };
}

function bench() {
  const clock = fakeClock();
  const bus = handLine();
  const reader = handLine();
  const random = prng(1);
  const station = createStation({ code: CODE, clock, random, bus, reader });
  const control = (request: unknown) =>
    answerControl(JSON.stringify(request), new Map([[CODE, station]]), random);
  return { clock, bus, reader, station, control };
}

test('a granted scan is timed to the coil frame, and its holder walks in', async () => {
  const { clock, bus, reader, station, control } = bench();
  const scanned = control({ do: 'scan', station: CODE, text: 'WS1:X' });
  await clock.advance(4);
  expect(reader.sent).toEqual(['WS1:X\r\n']);
  bus.toDevice(RELEASE);
  await clock.advance(3);
  reader.toDevice(Buffer.from('+granted;门已开，请进。\r\n'));
  expect(await scanned).toEqual({
    outcome: 'granted',
    sentence: '门已开，请进。',
    decision_ms: 4,
    answer_ms: 7,
  });
  expect(station.look().leaf_open).toBe(false);
  await clock.advance(1_500);
  expect(station.look()).toMatchObject({ leaf_open: true, entries: 1 });
});

test('a denied scan is timed to the answer and nobody walks in', async () => {
  const { clock, reader, station, control } = bench();
  const scanned = control({ do: 'scan', text: 'WS1:X' });
  await clock.advance(6);
  reader.toDevice(Buffer.from('-revoked;请按门铃。\r\n'));
  expect(await scanned).toEqual({
    outcome: 'denied',
    denial: 'revoked',
    sentence: '请按门铃。',
    decision_ms: 6,
    answer_ms: 6,
  });
  await clock.advance(10_000);
  expect(station.look().entries).toBe(0);
});

test('scans take turns; without an answer each ends after five seconds', async () => {
  const { clock, reader, control } = bench();
  const first = control({ do: 'scan', text: 'A' });
  const second = control({ do: 'scan', text: 'B' });
  await clock.advance(1);
  expect(reader.sent).toEqual(['A\r\n']);
  await clock.advance(5_000);
  expect(await first).toMatchObject({ outcome: 'unanswered' });
  expect(reader.sent).toEqual(['A\r\n', 'B\r\n']);
  reader.toDevice(Buffer.from('-replayed;x\r\n'));
  expect(await second).toMatchObject({ outcome: 'denied' });
});

test('a crowd at one reader is turned away, not queued without end', async () => {
  const { clock, control } = bench();
  const crowd = Array.from({ length: 40 }, () => control({ do: 'scan', text: 'A' }));
  await clock.advance(16 * 5_001);
  const sentences = (await Promise.all(crowd)).map((reply) => JSON.stringify(reply));
  expect(sentences.filter((reply) => reply.includes('too many people'))).toHaveLength(24);
});

test('control: each bad request gets a sentence that names the field', async () => {
  const { station, control } = bench();
  expect(await answerControl('{', new Map([[CODE, station]]), prng(1))).toEqual({
    error: 'not a JSON object in one line',
  });
  expect(await control({ do: 'scan' })).toEqual({ error: expect.stringMatching(/^text: /) });
  expect(await control({ do: 'scan', text: 'x', door: 1 })).toEqual({
    error: expect.stringMatching(/^door: /),
  });
  expect(await control({ do: 'dance' })).toEqual({ error: expect.stringMatching(/^do: /) });
  expect(await control({ do: 'status', station: 'X' })).toEqual({
    error: expect.stringMatching(/^station: /),
  });
  expect(await control({ do: 'status', station: stationCode('370811011', 'W', 2) })).toEqual({
    error: expect.stringMatching(/^station: .* is not simulated here$/),
  });
  expect(await control({ do: 'prompt', line: 'fly' })).toEqual({
    error: expect.stringContaining('help lists them'),
  });
});

test('control: commands act, status shows', async () => {
  const { control, bus } = bench();
  expect(await control({ do: 'prompt', line: 'fill water 80' })).toEqual({ text: 'done' });
  expect(await control({ do: 'prompt', line: 'people 3' })).toEqual({ text: 'done' });
  expect(await control({ do: 'prompt', line: 'unplug bus' })).toEqual({ text: 'bus unplugged' });
  expect(await control({ do: 'prompt', line: 'unplug bus' })).toEqual({ text: 'bus unplugged' });
  expect(bus.plugs).toEqual(['out']);
  expect(await control({ do: 'status' })).toMatchObject({
    station: CODE,
    people: 3,
    bus: 'unplugged',
    gauges: { water_level_percent: 80 },
  });
  expect(await control({ do: 'stations' })).toEqual({ stations: [CODE] });
});
