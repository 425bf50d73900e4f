import type { Order } from '@waystation/protocol/commands';
import { CLOCK_QUALITIES } from '@waystation/protocol/records';
import { epochMs } from '@waystation/runtime/clock';
import { expect, test } from 'vitest';
import { type CommandHistory, DEADLINE_AHEAD_MAX_MS, decideCommand } from './command.ts';

const NOW = epochMs(1_780_000_000_000);
const order: Order = {
  kind: 'open',
  id: 'order-0001',
  nonce: '0123456789abcdef',
  issued_at: NOW - 1_000,
  deadline_at: NOW + 10_000,
  min_clock: 'holdover',
  actor: 'officer',
  reason: 'phone is dead',
};
const nothing: CommandHistory = {
  knowsId: () => false,
  knowsNonce: () => false,
  full: () => false,
};
const decide = (
  change: Partial<Order> = {},
  history: Partial<CommandHistory> = {},
  now = { wall: NOW, clock: 'synced' as const },
) => decideCommand({ ...order, ...change } as Order, { ...nothing, ...history }, now);

test('an order in time is executed, to the last millisecond', () => {
  expect(decide()).toEqual({ verdict: 'execute' });
  expect(decide({ deadline_at: NOW })).toEqual({ verdict: 'execute' });
  expect(decide({ deadline_at: NOW - 1 })).toEqual({ verdict: 'expired' });
});

test('a repeated id is ignored, also when its deadline is over; a repeated nonce fails', () => {
  expect(decide({ deadline_at: NOW - 1 }, { knowsId: () => true })).toEqual({ verdict: 'ignore' });
  expect(decide({}, { knowsNonce: () => true })).toMatchObject({ verdict: 'failed' });
});

test('the clock must be as good as the order asks', () => {
  const table = CLOCK_QUALITIES.map((min_clock) =>
    CLOCK_QUALITIES.map(
      (clock) => decideCommand({ ...order, min_clock }, nothing, { wall: NOW, clock }).verdict,
    ),
  );
  expect(table).toEqual([
    ['execute', 'failed', 'failed'],
    ['execute', 'execute', 'failed'],
    ['execute', 'execute', 'execute'],
  ]);
});

test('what cannot be remembered until its deadline is not executed', () => {
  expect(decide({ deadline_at: NOW + DEADLINE_AHEAD_MAX_MS })).toEqual({ verdict: 'execute' });
  expect(decide({ deadline_at: NOW + DEADLINE_AHEAD_MAX_MS + 1 })).toMatchObject({
    verdict: 'failed',
  });
  expect(decide({}, { full: () => true })).toMatchObject({ verdict: 'failed' });
});
