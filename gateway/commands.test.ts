import { expect, test } from 'vitest';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { CommandListeners } from './cloud-client.ts';
import { startCommandFlow } from './commands.ts';
import { createCounters } from './metrics.ts';

/** A cloud whose streams the test opens and ends. */
function subject() {
  const clock = fakeClock();
  const counters = createCounters();
  const streams: (CommandListeners & { end: (cause?: Error) => void })[] = [];
  const events: string[] = [];
  const here = new Set<string>();
  const flow = startCommandFlow({
    clock,
    counters,
    random: () => 1,
    pauses: { first_ms: 100, max_ms: 400 },
    log: (level, event) => events.push(`${level} ${event}`),
    stations: { sendCommand: (station) => here.has(station) },
    cloud: {
      readCommands: (listeners) =>
        new Promise((resolve, reject) => {
          const end = (cause?: Error) => (cause === undefined ? resolve() : reject(cause));
          listeners.signal.addEventListener('abort', () => end(new Error('aborted')));
          streams.push({ ...listeners, end });
        }),
    },
  });
  return { clock, counters, streams, events, here, flow };
}
const away = () => new Fault('GATEWAY_CLOUD_UNREACHABLE');

test('a stream that ends is opened again, later and later, and told once', async () => {
  const { clock, streams, events, flow } = subject();
  const opened_at: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    opened_at.push(clock.mono());
    streams.at(-1)?.end(away());
    await clock.advance([100, 200, 400, 400, 400][round] ?? 0);
    expect(streams).toHaveLength(round + 2);
  }
  expect(events).toEqual(['warn commands.lost']);
  streams.at(-1)?.opened();
  expect(flow.open).toBe(true);
  expect(events).toEqual(['warn commands.lost', 'info commands.restored']);
  await clock.advance(60_000);
  streams.at(-1)?.end();
  await clock.advance(99);
  expect(streams).toHaveLength(6);
  await clock.advance(1);
  expect(streams).toHaveLength(7);
});

test('a command goes to its station at once or not at all', async () => {
  const { streams, here, counters, clock } = subject();
  await clock.advance(0);
  const station = stationCode('370102001', 'W', 1);
  const command = { kind: 'keySet', version: 1, body: '' } as const;
  streams[0]?.delivery({ station, command });
  here.add(station);
  streams[0]?.delivery({ station, command });
  streams[0]?.malformed();
  expect(counters).toMatchObject({ commands: 1, commands_undeliverable: 1, commands_malformed: 1 });
});

test('stop ends the stream and opens no other', async () => {
  const { clock, streams, events, flow } = subject();
  await flow.stop();
  await clock.advance(10_000);
  expect(streams).toHaveLength(1);
  expect(events).toEqual([]);
});
