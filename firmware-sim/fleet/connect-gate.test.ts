import { expect, test } from 'vitest';
import { fakeClock } from '@waystation/runtime/clock';
import { connectGate } from './connect-gate.ts';

test('turns come at the rate; what a late wake missed within a second is made up for', async () => {
  const clock = fakeClock();
  const gate = connectGate(clock, 10, new AbortController().signal);
  const passed: number[] = [];
  for (let turn = 0; turn < 5; turn++) void gate.pass().then(() => passed.push(clock.mono()));
  await clock.advance(250);
  expect(passed).toEqual([0, 100, 200]);
  await clock.advance(10_000);
  expect(passed).toHaveLength(5);
  const late = clock.mono();
  for (let turn = 0; turn < 30; turn++) void gate.pass().then(() => passed.push(clock.mono()));
  await clock.advance(0);
  expect(passed.slice(5)).toEqual(Array.from({ length: 11 }, () => late));
});

test('the end of the fleet ends every wait', async () => {
  const clock = fakeClock();
  const ending = new AbortController();
  const gate = connectGate(clock, 1, ending.signal);
  await Promise.all([clock.advance(0), gate.pass()]);
  const waiting = gate.pass();
  ending.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'UPLINK_LOST' });
});
