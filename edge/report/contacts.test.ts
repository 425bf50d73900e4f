import { monoMs } from '@waystation/runtime/clock';
import { expect, test } from 'vitest';
import { CALM } from '../fake-parts.ts';
import type { Inputs } from '../ports.ts';
import { type ContactBook, stepContacts } from './contacts.ts';

function book() {
  let book: ContactBook = {};
  let now = 0;
  return (change: Partial<Inputs>, after_ms = 100) => {
    now += after_ms;
    const step = stepContacts(book, { ...CALM, ...change }, monoMs(now));
    book = step.book;
    return step.changes.map(({ input, active }) => `${input} ${active}`);
  };
}

test('what calls for somebody is told at the first poll that shows it, the calm rest is left to the snapshot', () => {
  expect(book()({})).toEqual([]);
  expect(book()({ smoke: true, mainsPresent: false })).toEqual([
    'smoke true',
    'mainsPresent false',
  ]);
});

test('a contact that falls back is told when it stayed so', () => {
  const poll = book();
  expect(poll({ sosPressed: true })).toEqual(['sosPressed true']);
  expect(poll({})).toEqual([]);
  expect(poll({ sosPressed: true }, 500)).toEqual([]);
  expect(poll({}, 500)).toEqual([]);
  expect(poll({}, 1_000)).toEqual(['sosPressed false']);
});

test('a radar that loses a still person for a minute tells one stay', () => {
  const poll = book();
  const told = [poll({ presence: true })];
  for (let n = 0; n < 20; n += 1) told.push(poll({}, 60_000), poll({ presence: true }, 1_000));
  expect(told.flat()).toEqual(['presence true']);
  expect([...poll({}), ...poll({}, 120_000)]).toEqual(['presence false']);
});

test('a calm poll costs nothing: the book stays the same object', () => {
  const first = stepContacts({}, CALM, monoMs(0)).book;
  expect(stepContacts(first, { ...CALM }, monoMs(100)).book).toBe(first);
});
