import { expect, test } from 'vitest';
import { createBreaker, stepBreaker, type BreakerInput, type BreakerState } from './breaker.ts';

const STATES: BreakerState[] = [
  { name: 'closed', failures: 0 },
  { name: 'closed', failures: 1 },
  { name: 'open', until_ms: 500 },
  { name: 'probing' },
];
const INPUTS: [string, BreakerInput][] = [
  ['succeeded', { input: 'succeeded' }],
  ['failed @100', { input: 'failed', now_ms: 100, pause_ms: 50 }],
  ['time @499', { input: 'time', now_ms: 499 }],
  ['time @500', { input: 'time', now_ms: 500 }],
];
const print = (state: BreakerState) =>
  state.name === 'open'
    ? `open until ${state.until_ms}`
    : state.name === 'closed'
      ? `closed, ${state.failures} failures`
      : state.name;

test('every state and every input', async () => {
  const rows = STATES.flatMap((state) =>
    INPUTS.map(
      ([name, event]) => `${print(state)} + ${name} -> ${print(stepBreaker(state, event))}`,
    ),
  );
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('breaker.table.txt');
});

test('pauses double up to the limit, and begin again after a success', () => {
  const breaker = createBreaker(() => 1, { first_ms: 100, max_ms: 300 });
  const pauses: number[] = [];
  let now_ms = 0;
  breaker.failed(now_ms);
  for (let round = 0; round < 4; round += 1) {
    breaker.failed(now_ms);
    pauses.push(breaker.wait_ms(now_ms));
    now_ms += breaker.wait_ms(now_ms);
    expect(breaker.wait_ms(now_ms)).toBe(0);
    expect(breaker.state).toBe('probing');
  }
  expect(pauses).toEqual([100, 200, 300, 300]);
  breaker.succeeded();
  expect(breaker.state).toBe('closed');
  breaker.failed(now_ms);
  breaker.failed(now_ms);
  expect(breaker.wait_ms(now_ms)).toBe(100);
});
