/** The card from its issue to the door: what the cloud signs and the phone shows, the station believes. */
import { epochMs } from '@waystation/runtime/clock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NOW_S, createWorld, outcome, present, type World } from './world.ts';

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.remove());

test('an issued card opens, with the numbers it was issued with', () => {
  const member = world.member({ index: 1_735_591, org: 370_102, rights: 0b101 });
  const line = present(member, 291);
  expect(line.length).toBe(367);
  expect(line).toMatch(/^WS1:[0-9A-Z $%*+\-./:]+$/);
  expect(world.verify(line, NOW_S + 3)).toEqual({
    verdict: 'valid',
    card: 1_735_591,
    org: 370_102,
    rights: 0b101,
    issued_at_s: NOW_S,
    sequence: 291,
  });
});

test('verifying remembers nothing; accepting does, also in the next process', () => {
  const member = world.member();
  const line = present(member, 7);
  expect(outcome(world.verify(line))).toBe('valid');
  expect(outcome(world.verify(line))).toBe('valid');
  world.verifier.accept(member.index, 7, epochMs(NOW_S * 1000));
  expect(outcome(world.verify(line))).toBe('replayed');
  expect(outcome(world.restart().verify(line))).toBe('replayed');
  expect(outcome(world.verify(present(member, 8)))).toBe('valid');
});
