import { expect, test } from 'vitest';
import { fakeClock } from '@waystation/runtime/clock';
import { createGreeting } from './greeting.ts';

function open(at_once_max: number) {
  const clock = fakeClock();
  const greeted: string[] = [];
  const greeting = createGreeting<string>({
    clock,
    at_once_max,
    turn_ms: 1_000,
    greet: (guest) => greeted.push(guest),
  });
  return { clock, greeted, greeting };
}

test('so many at a time, in the order in which they knocked', () => {
  const { greeted, greeting } = open(2);
  for (const guest of ['a', 'b', 'c', 'd']) greeting.knock(guest);
  expect(greeted).toEqual(['a', 'b']);
  expect(greeting.waiting).toBe(2);
  greeting.done('b');
  expect(greeted).toEqual(['a', 'b', 'c']);
  greeting.done('b');
  expect(greeted).toEqual(['a', 'b', 'c']);
  greeting.done('a');
  expect(greeted).toEqual(['a', 'b', 'c', 'd']);
  expect(greeting.waiting).toBe(0);
});

test('who leaves while waiting is not greeted', () => {
  const { greeted, greeting } = open(1);
  for (const guest of ['a', 'b', 'c']) greeting.knock(guest);
  greeting.done('b');
  greeting.done('a');
  expect(greeted).toEqual(['a', 'c']);
});

test('who says nothing keeps a turn for a second, not the door', async () => {
  const { clock, greeted, greeting } = open(1);
  for (const guest of ['silent', 'silent too', 'honest']) greeting.knock(guest);
  await clock.advance(999);
  expect(greeted).toEqual(['silent']);
  await clock.advance(1_001);
  expect(greeted).toEqual(['silent', 'silent too', 'honest']);
});

test('a guest that is done while it is greeted gives its turn on', () => {
  const clock = fakeClock();
  const greeted: string[] = [];
  const greeting = createGreeting<string>({
    clock,
    at_once_max: 1,
    turn_ms: 1_000,
    greet(guest) {
      greeted.push(guest);
      greeting.done(guest);
    },
  });
  for (const guest of ['a', 'b', 'c']) greeting.knock(guest);
  expect(greeted).toEqual(['a', 'b', 'c']);
});
