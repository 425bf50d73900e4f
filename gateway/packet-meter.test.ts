import { expect, test } from 'vitest';
import fc from 'fast-check';
import { createPacketMeter } from './packet-meter.ts';

const LIMITS = { control_bytes_max: 100, publish_bytes_max: 300, publish_header_bytes_max: 40 };
const CONNECT = 0x10;
const PUBLISH = 0x30;
const PINGREQ = 0xc0;
const packet = (type: number, length: number) => {
  const head = length < 128 ? [type, length] : [type, (length % 128) | 0x80, length >> 7];
  return [...head, ...Array.from({ length }, () => 0xff)];
};

/** Feeds in pieces of the given size; the refusal and what was counted. */
function meter(bytes: number[], piece: number) {
  const subject = createPacketMeter(LIMITS);
  let refusal = null;
  for (let at = 0; at < bytes.length && refusal === null; at += piece) {
    refusal = subject.feed(Uint8Array.from(bytes.slice(at, at + piece)));
  }
  return { refusal, publishes: subject.publishes, controls: subject.controls };
}

test('counts packets by type whatever the pieces they come in', () => {
  const bytes = [
    packet(CONNECT, 60),
    packet(PUBLISH, 300),
    packet(PINGREQ, 0),
    packet(PUBLISH, 0),
  ].flat();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: bytes.length }), (piece) => {
      expect(meter(bytes, piece)).toEqual({ refusal: null, publishes: 2, controls: 2 });
    }),
  );
});

test.each([
  ['a first packet that is not CONNECT', packet(PUBLISH, 4), 'notConnect'],
  ['TLS on the plain port', [0x16, 0x03, 0x01, 0x02], 'notConnect'],
  ['a long CONNECT', packet(CONNECT, 101), 'controlTooLong'],
  ['a long publish', [...packet(CONNECT, 10), ...packet(PUBLISH, 301)], 'publishTooLong'],
  ['256 MB announced', [...packet(CONNECT, 10), PUBLISH, 0xff, 0xff, 0xff, 0x7f], 'publishTooLong'],
  [
    'a length of five bytes',
    [...packet(CONNECT, 10), PUBLISH, 0x80, 0x80, 0x80, 0x80, 1],
    'lengthMalformed',
  ],
])('%s is refused, byte by byte or at once', (_name, bytes, refusal) => {
  expect(meter(bytes, 1).refusal).toBe(refusal);
  expect(meter(bytes, bytes.length).refusal).toBe(refusal);
});
