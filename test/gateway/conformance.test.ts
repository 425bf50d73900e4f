/** Holds docs/mqtt-conformance.md and the tests of conformance-*.test.ts together: every statement of the standard, once. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** How many statements each section has (OASIS MQTT 3.1.1, appendix B). */
const STATEMENTS: Readonly<Record<string, number>> = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 4,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
  '7.0.0': 2,
  '7.1.1': 1,
  '7.1.2': 1,
};
const all = Object.entries(STATEMENTS).flatMap(([section, count]) =>
  Array.from({ length: count }, (_, at) => `MQTT-${section}-${at + 1}`),
);

const page = readFileSync(new URL('../../docs/mqtt-conformance.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(/^\| (MQTT-\S+) +\| (\w+) +\| *(.*?) *\|$/gm)].map(
  ([, id = '', stand = '', how = '']) => ({ id, stand, how }),
);

const here = new URL('.', import.meta.url);
const cited = new Set(
  readdirSync(here)
    .filter((name) => /^conformance-.*\.test\.ts$/.test(name))
    .flatMap((name) => readFileSync(new URL(name, here), 'utf8').match(/MQTT-[\d.]+-\d+/g) ?? []),
);

test('the page has every statement of the standard once, in order', () => {
  expect(rows.map(({ id }) => id)).toEqual(all);
  expect(all).toHaveLength(141);
});

test('a statement is tested, or the page says why not, and never both', () => {
  expect([...cited].toSorted()).toEqual(
    rows
      .filter(({ stand }) => stand === 'tested')
      .map(({ id }) => id)
      .toSorted(),
  );
  const silent = rows.filter(({ stand, how }) => stand !== 'client' && how.length < 8);
  expect(silent).toEqual([]);
  const stands = new Set(rows.map(({ stand }) => stand));
  expect([...stands].toSorted()).toEqual(['absent', 'client', 'narrow', 'tested']);
});
