import { expect, test } from 'vitest';
import fc from 'fast-check';
import { createEventStreamParser } from './event-stream.ts';

/** Every event of the text, fed in pieces of the given size. */
function read(text: string, piece: number): string[] {
  const events: string[] = [];
  const parser = createEventStreamParser(1_000, (data) => events.push(data));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += piece) {
    expect(parser.feed(bytes.subarray(at, at + piece))).toBe(true);
  }
  return events;
}

test('the example of WHATWG HTML 9.2.6, and what the cloud adds', () => {
  const stock = 'data: YHOO\ndata: +2\ndata: 10\n\n';
  const fields = ': heartbeat\n\nid: 7\nevent: x\ndata:驿站\n\n';
  const returns = 'data: a\r\n\r\ndata: b\r\n\r\n';
  for (const piece of [1, 2, 3, 1_000]) {
    expect(read(stock + fields + returns, piece)).toEqual(['YHOO\n+2\n10', '驿站', 'a', 'b']);
  }
});

test('any cut of any stream gives the same events', () => {
  const line = fc.oneof(
    fc.constantFrom('', '', ':', 'data:', 'data: x', 'id: 1'),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(
      fc.array(line),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 9 }),
      (lines, end, piece) => {
        const text = lines.map((content) => content.replace(/[\r\n]/g, '') + end).join('');
        expect(read(text, piece)).toEqual(read(text, text.length * 4 + 1));
      },
    ),
  );
});

test('an event or a line beyond the limit ends the stream', () => {
  const long = createEventStreamParser(10, () => {});
  expect(long.feed(Buffer.from('data: 12345678901'))).toBe(false);
  const many = createEventStreamParser(10, () => {});
  expect(many.feed(Buffer.from('data: 12345\n'))).toBe(true);
  expect(many.feed(Buffer.from('data: 12345\n'))).toBe(false);
});
