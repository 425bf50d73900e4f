import { expect, test } from 'vitest';
import { judgeBody, judgeFirstByte } from './packet-rules.ts';

test('every first byte after CONNECT', async () => {
  const rows = Array.from({ length: 256 }, (_, byte) => {
    const bits = byte.toString(2).padStart(8, '0');
    return `${bits.slice(0, 4)} ${bits.slice(4)}  ${judgeFirstByte(byte) ?? 'taken'}`;
  });
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('first-byte.table.txt');
});

const utf8 = (text: string) => [...Buffer.from(text)];
const filter = (text: string) => [0, 1, 0, utf8(text).length, ...utf8(text), 0];

/** MQTT 3.1.1, 4.7.1: its own examples first. */
test.each([
  ['sport/tennis/player1/#', null],
  ['sport/#', null],
  ['#', null],
  ['sport/tennis/#', null],
  ['sport/tennis#', 'filter'],
  ['sport/tennis/#/ranking', 'filter'],
  ['+', null],
  ['+/tennis/#', null],
  ['sport+', 'filter'],
  ['sport/+/player1', null],
  ['/+', null],
  ['+/+', null],
  ['/', null],
  ['+a', 'filter'],
  ['a/b+', 'filter'],
  ['##', 'filter'],
  ['#/', 'filter'],
  ['驿站/+/#', null],
])('the filter %s: %s', (text, violation) => {
  expect(judgeBody(0x82, Uint8Array.from(filter(text)))).toBe(violation);
});

test('no beginning of a CONNECT is a CONNECT', () => {
  const header = '00044d515454' + '04' + 'ee' + '003c';
  const payload = '000161' + '000174' + '00020000' + '000175' + '0001ff';
  const body = Buffer.from(header + payload, 'hex');
  expect(judgeBody(0x10, body)).toBe(null);
  for (let length = 0; length < body.length; length += 1)
    expect(judgeBody(0x10, body.subarray(0, length)), `${length} bytes`).toBe('length');
});
