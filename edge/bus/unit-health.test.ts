import { expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { mayPoll, stepHealth, type HealthInput, type UnitHealth } from './unit-health.ts';

const STATES: UnitHealth[] = [
  { s: 'unknown', failures: 0 },
  { s: 'unknown', failures: 2 },
  { s: 'online', failures: 0 },
  { s: 'online', failures: 2 },
  { s: 'offline', probe_at: monoMs(500) },
];
const INPUTS: HealthInput['i'][] = ['answered', 'failed', 'asked', 'lineDown', 'lineUp'];

const print = (health: UnitHealth) =>
  health.s === 'offline'
    ? `offline, probe at ${health.probe_at}`
    : `${health.s}, ${health.failures} failures`;

test('every state and every input', async () => {
  const rows = STATES.flatMap((health) =>
    INPUTS.map((i) => {
      const { next, change } = stepHealth(health, { i }, monoMs(100));
      return `${print(health)} + ${i} @100 -> ${print(next)}${change ? ` [${change}]` : ''}`;
    }),
  );
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('unit-health.table.txt');
});

test('a lost unit is polled only when its probe is due', () => {
  expect(mayPoll({ s: 'unknown', failures: 2 }, monoMs(0))).toBe(true);
  expect(mayPoll({ s: 'offline', probe_at: monoMs(500) }, monoMs(499))).toBe(false);
  expect(mayPoll({ s: 'offline', probe_at: monoMs(500) }, monoMs(500))).toBe(true);
});
