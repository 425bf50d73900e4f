import { expect, test } from 'vitest';
import { createReader, parseAnswer, type ReaderAnswer } from './reader.ts';

function benchReader() {
  const sent: Buffer[] = [];
  const answers: ReaderAnswer[] = [];
  let feed: (bytes: Uint8Array) => void = () => {};
  const reader = createReader({
    write: (bytes) => sent.push(Buffer.from(bytes)),
    onData: (listener) => (feed = listener),
  });
  reader.onAnswer((answer) => answers.push(answer));
  return { reader, sent, answers, feed: (bytes: Uint8Array) => feed(bytes) };
}

test('a scan is sent byte for byte, its spaces kept, and ends with CR LF', () => {
  const { reader, sent } = benchReader();
  reader.scan(' WS1:A B  C$ ');
  expect(Buffer.concat(sent).toString('latin1')).toBe(' WS1:A B  C$ \r\n');
});

test('answers are read however the line cuts them, in Chinese too', () => {
  const { answers, feed } = benchReader();
  for (const byte of Buffer.from('+granted;门已开，请进。\r\n-revoked;这张卡已停用。\n'))
    feed(Uint8Array.of(byte));
  expect(answers).toEqual([
    { outcome: 'granted', sentence: '门已开，请进。' },
    { outcome: 'denied', denial: 'revoked', sentence: '这张卡已停用。' },
  ]);
});

test('what is no answer is counted and dropped, an endless one too', () => {
  const bench = benchReader();
  for (const line of [
    'hello',
    '+granted',
    '-;x',
    `+granted;${'x'.repeat(600)}`,
    'y'.repeat(100_000),
  ])
    bench.feed(Buffer.from(`${line}\r\n`));
  bench.feed(Buffer.from('+granted;ok\r\n'));
  expect(bench.answers).toEqual([{ outcome: 'granted', sentence: 'ok' }]);
  expect(bench.reader.unreadable).toBe(5);
});

test('a sentence may hold a semicolon', () => {
  expect(parseAnswer('-closed;a;b')).toEqual({
    outcome: 'denied',
    denial: 'closed',
    sentence: 'a;b',
  });
});
