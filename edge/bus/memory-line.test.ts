import { expect, test } from 'vitest';
import { fakeClock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { memoryLinePair } from './memory-line.ts';

test('carries copies in order, both ways, in a later turn', async () => {
  const clock = fakeClock();
  const { agent, device } = memoryLinePair(clock);
  const heard: string[] = [];
  device.onData((bytes) => {
    heard.push(`device ${bytes.join(' ')}`);
    device.write(bytes);
  });
  agent.onData((bytes) => heard.push(`agent ${bytes.join(' ')}`));
  const bytes = Uint8Array.of(1, 2);
  agent.write(bytes);
  bytes.fill(9);
  agent.write(Uint8Array.of(3));
  expect(heard).toEqual([]);
  await clock.advance(0);
  expect(heard).toEqual(['device 1 2', 'device 3', 'agent 1 2', 'agent 3']);
});

test('an unplugged line takes nothing, loses what is under way and keeps nothing for later', async () => {
  const clock = fakeClock();
  const { agent, device } = memoryLinePair(clock, { latency_ms: 5 });
  const heard: number[] = [];
  const seen: string[] = [];
  device.onData((bytes) => heard.push(...bytes));
  agent.onUp(() => seen.push('up'));
  agent.onDown(() => seen.push('down'));
  agent.write(Uint8Array.of(1));
  device.unplug();
  expect(agent.isOpen).toBe(false);
  expect(() => agent.write(Uint8Array.of(2))).toThrow(
    expect.toSatisfy((error) => isFault(error, 'SERIAL_CLOSED')),
  );
  device.write(Uint8Array.of(3));
  device.replug();
  agent.write(Uint8Array.of(4));
  await clock.advance(10);
  expect(heard).toEqual([4]);
  expect(seen).toEqual(['down', 'up']);
  await agent.close();
  device.replug();
  expect(agent.isOpen).toBe(false);
  expect(seen).toEqual(['down', 'up', 'down']);
});
