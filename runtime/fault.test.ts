import { expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { FAULTS } from './fault.ts';

const page = readFileSync(new URL('../docs/faults.md', import.meta.url), 'utf8');
const documented = new Map(
  [...page.matchAll(/^\| `([A-Z_]+)` \| (yes|no) \| (.+) \|$/gm)].map((row) => [
    row[1],
    { retry: row[2], operator: row[3] },
  ]),
);

test('every code is documented with its next step, and every documented code exists', () => {
  const coded = new Map(
    Object.entries(FAULTS).map(([code, fault]) => [
      code,
      { retry: fault.retry ? 'yes' : 'no', operator: fault.operator },
    ]),
  );
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(coded));
});
