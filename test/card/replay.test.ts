/** A code opens once: at this door, in the next process, and whatever its signature looks like. */
import {
  REPLAY_MEMORY_MS,
  createReplayGuard,
  memoryReplayTable,
} from '@waystation/edge/card/replay-guard';
import { epochMs } from '@waystation/runtime/clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NOW_S, createWorld, outcome, present, twin, type Member, type World } from './world.ts';

const NOW = epochMs(NOW_S * 1000);
let world: World;
let member: Member;
beforeEach(() => {
  world = createWorld();
  member = world.member();
});
afterEach(() => world.remove());

test('the ECDSA twin is another line, good in itself, and worth nothing after the first', () => {
  const line = present(member, 5);
  expect(twin(line)).not.toBe(line);
  expect(twin(twin(line))).toBe(line);
  expect(outcome(world.verify(twin(line)))).toBe('valid');
  world.verifier.accept(member.index, 5, NOW);
  expect([line, twin(line)].map((text) => outcome(world.verify(text)))).toEqual([
    'replayed',
    'replayed',
  ]);
  expect(outcome(world.restart().verify(twin(line)))).toBe('replayed');
});

test('sequence decides, not the phone’s clock: it may step back between two honest uses', () => {
  world.verifier.accept(member.index, 5, NOW);
  expect(outcome(world.verify(present(member, 6, NOW_S - 40)))).toBe('valid');
  expect(outcome(world.verify(present(member, 4, NOW_S + 20)))).toBe('replayed');
});

test('no replay passes as long as its window is open, in any holdover', () => {
  const held = createWorld({ lastSynced: () => null });
  const holder = held.member();
  const line = present(holder, 1, NOW_S + 120);
  expect(outcome(held.verify(line, NOW_S, 'holdover'))).toBe('valid');
  held.verifier.accept(holder.index, 1, NOW);
  const seen = new Set<string>();
  for (let after_s = 0; after_s <= 600; after_s += 1)
    seen.add(outcome(held.verify(line, NOW_S + after_s, 'holdover')));
  expect([...seen]).toEqual(['replayed', 'presentationStale']);
  held.remove();
});

describe('the guard’s memory', () => {
  test('is of each card for itself', () => {
    const guard = createReplayGuard(memoryReplayTable());
    guard.remember(1, 10, NOW);
    expect([9, 10, 11].map((sequence) => guard.isReplay(1, sequence, NOW))).toEqual([
      true,
      true,
      false,
    ]);
    expect(guard.isReplay(2, 1, NOW)).toBe(false);
  });

  test('ends after five minutes, in memory and in the table', () => {
    const table = memoryReplayTable();
    const guard = createReplayGuard(table);
    guard.remember(1, 10, NOW);
    const later = epochMs(NOW + REPLAY_MEMORY_MS);
    expect(guard.isReplay(1, 10, later)).toBe(true);
    expect(guard.isReplay(1, 10, epochMs(later + 1))).toBe(false);
    guard.remember(2, 1, epochMs(later + 1));
    expect([...table.all()].map((use) => use.card)).toEqual([2]);
    expect(guard.stats()).toEqual({ cards: 1, forgotten_early: 0 });
  });

  test('has a limit: the card used longest ago is forgotten, and counted', () => {
    const table = memoryReplayTable();
    const guard = createReplayGuard(table, 3);
    for (const card of [1, 2, 3, 1, 4]) guard.remember(card, 10 + card, NOW);
    expect(new Set([...table.all()].map((use) => use.card))).toEqual(new Set([1, 3, 4]));
    expect(guard.isReplay(2, 12, NOW)).toBe(false);
    expect(guard.isReplay(1, 11, NOW)).toBe(true);
    expect(guard.stats()).toEqual({ cards: 3, forgotten_early: 1 });
  });

  test('is taken up again by the next process, oldest first', () => {
    const table = memoryReplayTable();
    createReplayGuard(table).remember(1, 10, epochMs(NOW + 2));
    createReplayGuard(table).remember(2, 20, epochMs(NOW + 1));
    const guard = createReplayGuard(table, 2);
    expect(guard.isReplay(1, 10, NOW)).toBe(true);
    guard.remember(3, 30, epochMs(NOW + 3));
    expect(guard.isReplay(2, 20, NOW)).toBe(false);
    expect(guard.isReplay(1, 10, NOW)).toBe(true);
  });

  test('what the table refuses is not remembered: the caller must not open', () => {
    const table = memoryReplayTable();
    const guard = createReplayGuard({
      all: () => table.all(),
      replace: () => {
        throw new Error('disk full');
      },
    });
    expect(() => guard.remember(1, 10, NOW)).toThrow('disk full');
    expect(guard.stats().cards).toBe(0);
  });
});
