/** The auditor is judged on doctored stores: it must name the record. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf } from '@waystation/firmware-sim/fleet/ledger';
import { auditEvents, auditSamples, readLedger, together, type StoredEvents } from './audit.ts';

const KEY = 'A/event/0123456789ab';
const body = (n: number) => ({ kind: 'mode', at: n, cause: `record ${n}` });

let directory: string;
let path: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'audit-'));
  path = join(directory, 'ledger.jsonl');
  const lines = [
    ['A', 'event', '0123456789ab', 1, 'opened'],
    ['A', 'sample', '0123456789ab', 0, 'opened'],
    ...[2, 3, 4].map((n) => ['A', 'event', '0123456789ab', n, digestOf(body(n)), n]),
    ...[1, 2].map((n) => ['A', 'sample', '0123456789ab', n, digestOf(body(n)), 100 * n]),
    ['A', 'event', '0123456789ab', 4, 'opened'],
  ];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const until = new Map([
  [KEY, 4],
  ['A/sample/0123456789ab', 2],
]);
const stored = (...numbers: number[]): StoredEvents => ({
  bodies: new Map([[KEY, new Map(numbers.map((n) => [n, digestOf(body(n))]))]]),
  repeated: [],
});
const points = (...times: number[]) => new Map([['A', new Set(times)]]);

test('a true pair of stores has no fault', async () => {
  const book = await readLedger(path);
  const verdict = together(
    auditEvents(stored(1, 2, 3, 4), book, until),
    auditSamples(book, points(100, 200), until),
  );
  expect(verdict).toEqual({
    produced: 6,
    committed: 6,
    lost: 0,
    duplicated: 0,
    changed: 0,
    invented: 0,
    first: {},
  });
});

test('a missing event, a changed one, one too many and one twice are named', async () => {
  const book = await readLedger(path);
  expect(auditEvents(stored(1, 2, 4), book, until)).toMatchObject({
    lost: 1,
    first: { lost: `${KEY}/3` },
  });
  expect(auditEvents(stored(1, 2, 3, 4, 5), book, until)).toMatchObject({
    invented: 1,
    first: { invented: `${KEY}/5` },
  });
  const changed = stored(1, 2, 3, 4);
  changed.bodies.get(KEY)?.set(3, digestOf(body(30)));
  expect(auditEvents(changed, book, until)).toMatchObject({
    changed: 1,
    first: { changed: `${KEY}/3` },
  });
  const repeated = { ...stored(1, 2, 3, 4), repeated: [`${KEY}/2`] };
  expect(auditEvents(repeated, book, until)).toMatchObject({
    duplicated: 1,
    first: { duplicated: `${KEY}/2` },
  });
});

test('a missing point and an invented one are named', async () => {
  const book = await readLedger(path);
  expect(auditSamples(book, points(100), until)).toMatchObject({
    lost: 1,
    first: { lost: 'A/sample/0123456789ab/2 at 200' },
  });
  expect(auditSamples(book, points(100, 150, 200), until)).toMatchObject({
    invented: 1,
    first: { invented: 'A/sample at 150' },
  });
});

test('what is not yet to be there is not missed', async () => {
  const book = await readLedger(path);
  const earlier = new Map([...until].map(([key, through]) => [key, through - 1]));
  expect(auditEvents(stored(1, 2, 3), book, earlier).lost).toBe(0);
  expect(auditSamples(book, points(100), earlier).lost).toBe(0);
});
