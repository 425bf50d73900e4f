import { expect, test } from 'vitest';
import { BASE45_ALPHABET } from './base45.ts';
import { COMMISSIONING_LINE, judgeCommissioning, type ReaderProblem } from './commissioning.ts';

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

test('the test code has every character, single and double spaces, and the length of a real code', () => {
  expect(COMMISSIONING_LINE).toHaveLength(400);
  for (const character of BASE45_ALPHABET) expect(COMMISSIONING_LINE).toContain(character);
  expect(COMMISSIONING_LINE).toMatch(/[^ ] [^ ]/);
  expect(COMMISSIONING_LINE).toMatch(/[^ ] {2}[^ ]/);
  expect(COMMISSIONING_LINE).not.toMatch(/ $/);
  expect(Array.from(COMMISSIONING_LINE).filter((c) => !BASE45_ALPHABET.includes(c))).toEqual([]);
});

test('a reader that changes nothing is fit', () => {
  expect(judgeCommissioning(bytes(COMMISSIONING_LINE))).toEqual({ fit: true });
});

test.each<[ReaderProblem, (line: string) => string]>([
  ['prefixAdded', (line) => `]Q1${line}`],
  ['prefixAdded', (line) => `\u0002${line}`],
  ['suffixAdded', (line) => `${line}\t`],
  ['suffixAdded', (line) => line + line],
  ['truncated', (line) => line.slice(0, 255)],
  ['truncated', (line) => line.slice(0, 4)],
  ['caseChanged', (line) => line.toLowerCase()],
  ['spacesCollapsed', (line) => line.replaceAll(/ +/g, ' ')],
  ['spacesLost', (line) => line.replaceAll(' ', '')],
  ['charactersChanged', (line) => line.replaceAll('-', '/')],
])('%s', (problem, damage) => {
  const judged = judgeCommissioning(bytes(damage(COMMISSIONING_LINE)));
  expect(judged).toMatchObject({ fit: false, problem });
});

test('the place of the first difference is told', () => {
  const line = COMMISSIONING_LINE.replace('$', 'S');
  expect(judgeCommissioning(bytes(line))).toEqual({
    fit: false,
    problem: 'charactersChanged',
    at: COMMISSIONING_LINE.indexOf('$'),
  });
});

test.each(['', 'WS1:ABC', '6901234567892', 'https://example.com/WST'])(
  '%j is no test code',
  (line) => {
    expect(judgeCommissioning(bytes(line))).toBeNull();
  },
);
