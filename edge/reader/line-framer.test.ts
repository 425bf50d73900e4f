import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { INTER_BYTE_MS, LINE_LIMIT, lineFramer } from './line-framer.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const texts = (lines: Uint8Array[]) => lines.map((line) => Buffer.from(line).toString('latin1'));
const framed = (text: string) => texts(lineFramer().push(bytes(text), monoMs(0)));

describe('lines', () => {
  test('end at CR, LF or both; the ends go, nothing else does', () => {
    expect(framed('WS1:A B\rWS1:C\nWS1:D\r\n')).toEqual(['WS1:A B', 'WS1:C', 'WS1:D']);
    expect(framed('  WS1:A  \r\n\r\n\tX\r')).toEqual(['  WS1:A  ', 'X']);
    expect(framed('no end yet')).toEqual([]);
  });

  test('control bytes before the first byte are dropped, later ones belong to the line', () => {
    expect(framed('\u0002\u0000\u007fWS1:A\u0003\r')).toEqual(['WS1:A\u0003']);
    expect(framed('会员\r')).toHaveLength(1);
  });

  test('a line of the limit passes, a longer one is dropped up to its end', () => {
    const framer = lineFramer();
    const longest = 'X'.repeat(LINE_LIMIT);
    expect(texts(framer.push(bytes(`${longest}\r${longest}Y\rnext\r`), monoMs(0)))).toEqual([
      longest,
      'next',
    ]);
    framer.push(bytes('Z'.repeat(100_000)), monoMs(1));
    expect(texts(framer.push(bytes('Z\rafter\r'), monoMs(2)))).toEqual(['after']);
    expect(framer.counters()).toEqual({
      lines: 3,
      dropped_control_bytes: 0,
      overlong_lines: 2,
      broken_lines: 0,
    });
  });

  test('a line is given up when its next byte comes too late', () => {
    const framer = lineFramer();
    framer.push(bytes('WS1:HALF'), monoMs(0));
    expect(texts(framer.push(bytes(' OF IT\r'), monoMs(INTER_BYTE_MS)))).toEqual([
      'WS1:HALF OF IT',
    ]);
    framer.push(bytes('WS1:HALF'), monoMs(1000));
    expect(texts(framer.push(bytes('WS1:WHOLE\r'), monoMs(1001 + INTER_BYTE_MS)))).toEqual([
      'WS1:WHOLE',
    ]);
    expect(framer.counters().broken_lines).toBe(1);
  });

  test('a reset forgets the half line of the port before', () => {
    const framer = lineFramer();
    framer.push(bytes('WS1:HALF'), monoMs(0));
    framer.reset();
    expect(texts(framer.push(bytes('WS1:NEW\r'), monoMs(1)))).toEqual(['WS1:NEW']);
  });
});

test('how the bytes are cut does not matter', () => {
  let lines = 0;
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom('\r', '\n', '\u0000', 'WS1:AB 7', ' '),
          fc.string({ unit: 'binary', maxLength: 9 }),
        ),
        { minLength: 20, maxLength: 60 },
      ),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (pieces, sizes) => {
        const stream = bytes(pieces.join(''));
        const whole = texts(lineFramer().push(stream, monoMs(0)));
        const framer = lineFramer();
        const cut: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          cut.push(...framer.push(stream.subarray(at, at + size), monoMs(turn)));
          at += size;
        }
        expect(texts(cut)).toEqual(whole);
        lines += whole.length;
      },
    ),
  );
  expect(lines).toBeGreaterThan(100); // a property that never meets a line proves nothing
});
