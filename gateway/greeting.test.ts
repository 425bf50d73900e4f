import { expect, test } from 'vitest';
import { fakeClock } from '@waystation/runtime/clock';
import { createGreeting } from './greeting.ts';

function open(at_once_max: number) {
  const clock = fakeClock();
  const greeted: string[] = [];
  const turned_away: string[] = [];
  const greeting = createGreeting<string>({
    clock,
    at_once_max,
    turn_ms: 1_000,
    wait_ms: 10_000,
    greet: (guest) => greeted.push(guest),
    turnAway: (guest) => turned_away.push(guest),
  });
  return { clock, greeted, turned_away, greeting };
}

test('so many at a time; of those who wait the newest first', () => {
  const { greeted, greeting } = open(2);
  for (const guest of ['a', 'b', 'c', 'd']) greeting.knock(guest);
  expect(greeted).toEqual(['a', 'b']);
  expect(greeting.waiting).toBe(2);
  greeting.done('b');
  expect(greeted).toEqual(['a', 'b', 'd']);
  greeting.done('b');
  expect(greeted).toEqual(['a', 'b', 'd']);
  greeting.done('a');
  expect(greeted).toEqual(['a', 'b', 'd', 'c']);
  expect(greeting.waiting).toBe(0);
});

test('who leaves while waiting is not greeted', () => {
  const { greeted, greeting } = open(1);
  for (const guest of ['a', 'b', 'c']) greeting.knock(guest);
  greeting.done('c');
  greeting.done('a');
  expect(greeted).toEqual(['a', 'b']);
});

test('who says nothing keeps a turn for a second, not the door', async () => {
  const { clock, greeted, greeting } = open(1);
  for (const guest of ['silent', 'honest', 'silent too']) greeting.knock(guest);
  await clock.advance(999);
  expect(greeted).toEqual(['silent']);
  await clock.advance(1_001);
  expect(greeted).toEqual(['silent', 'silent too', 'honest']);
});

test('who has waited for too long is turned away, once', async () => {
  const { clock, greeted, turned_away, greeting } = open(1);
  greeting.knock('first');
  for (let n = 1; n <= 12; n += 1) {
    greeting.knock(`guest ${n}`);
    greeting.knock(`late ${n}`);
    await clock.advance(1_000);
  }
  // One turn a second goes to the newest, so the first of each pair waits in vain.
  expect(turned_away).toEqual(['guest 1', 'guest 2', 'guest 3']);
  expect(greeted.slice(0, 3)).toEqual(['first', 'late 1', 'late 2']);
  expect(greeting.waiting).toBe(24 + 1 - turned_away.length - greeted.length);
});

test('thousands who go while they wait leave no trace', () => {
  const { greeted, greeting } = open(1);
  greeting.knock('first');
  for (let n = 0; n < 5_000; n += 1) {
    greeting.knock(`guest ${n}`);
    greeting.done(`guest ${n}`);
  }
  expect(greeting.waiting).toBe(0);
  greeting.knock('last');
  greeting.done('first');
  expect(greeted).toEqual(['first', 'last']);
});

test('a guest that is done while it is greeted gives its turn on', () => {
  const clock = fakeClock();
  const greeted: string[] = [];
  const greeting = createGreeting<string>({
    clock,
    at_once_max: 1,
    turn_ms: 1_000,
    wait_ms: 10_000,
    greet(guest) {
      greeted.push(guest);
      greeting.done(guest);
    },
    turnAway: () => {},
  });
  for (const guest of ['a', 'b', 'c']) greeting.knock(guest);
  expect(greeted).toEqual(['a', 'b', 'c']);
});
