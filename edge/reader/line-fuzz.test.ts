/** 100,000 damaged scans in pieces of any size and rhythm: none throws, and the lines are those of a plain model, no other. */
import { expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { INTER_BYTE_MS, LINE_LIMIT, lineFramer } from './line-framer.ts';

const SEED = 31_415;
const INPUTS = 100_000;
const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

const random = prng(SEED);
const below = (limit: number) => Math.floor(random() * limit);
const text = (length: number, alphabet = BASE45) =>
  Array.from({ length }, () => alphabet[below(alphabet.length)]).join('');
const noise = (length: number) =>
  Array.from({ length }, () => String.fromCharCode(below(256))).join('');
const code = () => `WS1:${text(60 + below(300))}`;

const KINDS: Record<string, () => string> = {
  whole: () => `${code()}\r\n`,
  'no end': () => code(),
  'two in one': () => `${code()}\r${code()}\n`,
  overlong: () => `${text(LINE_LIMIT + below(400))}\r\n`,
  'of the limit': () => `${text(LINE_LIMIT - 1 + below(3))}\r`,
  'control bytes before': () =>
    `${text(below(9), '\u0000\u0001\u0002\u0003\u001b\u007f')}${code()}\r\n`,
  'bytes flipped': () =>
    code().replaceAll(/./g, (char) => (random() < 0.1 ? noise(1) : char)) + '\r\n',
  noise: () => noise(below(900)),
  'ends only': () => text(below(12), '\r\n'),
};

/** What must come out of pieces with these pauses: split at ends and at long pauses, without the leading control bytes. */
function model(pieces: { text: string; late: boolean }[]): string[] {
  const lines: string[] = [];
  let held = '';
  for (const { text, late } of pieces) {
    if (late) held = '';
    const parts = (held + text).split(/[\r\n]/);
    held = parts.pop() ?? '';
    lines.push(...parts);
  }
  return lines
    .map((line) =>
      line.slice(Array.from(line).findIndex((char) => char >= ' ' && char !== '\u007f')),
    )
    .filter((line) => line >= ' ' && line[0] !== '\u007f' && line.length <= LINE_LIMIT);
}

test(`${INPUTS} damaged scans`, { timeout: 60_000 }, () => {
  const framer = lineFramer();
  const reached: Record<string, number> = { lines: 0 };
  let now = 0;
  let pieces: { text: string; late: boolean }[] = [];
  let got: string[] = [];
  for (let count = 0; count < INPUTS; count += 1) {
    const [name, make] = Object.entries(KINDS)[below(Object.keys(KINDS).length)] ?? [
      'whole',
      KINDS['whole'],
    ];
    reached[name] = (reached[name] ?? 0) + 1;
    const stream = make?.() ?? '';
    for (let at = 0; at < stream.length;) {
      const size = 1 + below(random() < 0.5 ? 8 : 400);
      const late = random() < 0.02;
      now += late ? INTER_BYTE_MS + 1 + below(1000) : below(INTER_BYTE_MS);
      const part = stream.slice(at, at + size);
      pieces.push({ text: part, late });
      got.push(
        ...framer
          .push(Buffer.from(part, 'latin1'), monoMs(now))
          .map((line) => Buffer.from(line).toString('latin1')),
      );
      at += size;
    }
    if (count % 100 !== 99) continue;
    // A round ends with a line end, so that the next one begins with nothing held.
    pieces.push({ text: '\r', late: false });
    got.push(
      ...framer
        .push(Buffer.from('\r'), monoMs(now))
        .map((line) => Buffer.from(line).toString('latin1')),
    );
    expect(got, `seed=${SEED} up to input ${count}`).toEqual(model(pieces));
    reached['lines'] = (reached['lines'] ?? 0) + got.length;
    pieces = [];
    got = [];
  }
  console.table({ ...reached, ...framer.counters() });
  expect(reached['lines']).toBe(framer.counters().lines);
  expect(framer.counters().lines).toBeGreaterThan(INPUTS / 3);
  expect(framer.counters().overlong_lines).toBeGreaterThan(1000);
  expect(framer.counters().broken_lines).toBeGreaterThan(1000);
  expect(framer.counters().dropped_control_bytes).toBeGreaterThan(1000);
});
