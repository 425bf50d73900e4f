import { expect, test } from 'vitest';
import fc from 'fast-check';
import { createPacketMeter, type MeterRefusal } from './packet-meter.ts';

const LIMITS = { control_bytes_max: 100, publish_bytes_max: 300, publish_header_bytes_max: 40 };
/** MQTT 3.1.1, 3.1: level 4, clean session, keep-alive 60 s, client id "a". */
const CONNECT = [0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x61];
const PINGREQ = [0xc0, 0];
const DISCONNECT = [0xe0, 0];
/** A PUBLISH at QoS 0 to topic "t" with so long a body. */
const publish = (length: number) => {
  const head = length < 128 ? [0x30, length] : [0x30, (length % 128) | 0x80, length >> 7];
  return [...head, 0, 1, 0x74, ...Array.from({ length: length - 3 }, () => 0xff)];
};

/** Feeds in pieces of the given size; the refusal, what was counted and how much was admitted. */
function meter(bytes: number[], piece: number) {
  const subject = createPacketMeter(LIMITS);
  let refusal: MeterRefusal | null = null;
  let admitted = 0;
  for (let at = 0; at < bytes.length && refusal === null; at += piece) {
    const said = subject.feed(Uint8Array.from(bytes.slice(at, at + piece)));
    if (typeof said === 'string') refusal = said;
    else admitted += said;
  }
  const { publishes, controls, disconnected } = subject;
  return { refusal, admitted, publishes, controls, disconnected };
}

test('counts packets by type whatever the pieces they come in', () => {
  const bytes = [...CONNECT, ...publish(300), ...PINGREQ, ...publish(3)];
  fc.assert(
    fc.property(fc.integer({ min: 1, max: bytes.length }), (piece) => {
      expect(meter(bytes, piece)).toEqual({
        refusal: null,
        admitted: bytes.length,
        publishes: 2,
        controls: 2,
        disconnected: false,
      });
    }),
  );
});

test('what follows DISCONNECT is not admitted, whatever it is', () => {
  const bytes = [...CONNECT, ...DISCONNECT, ...publish(20), 0xff, 0xff];
  for (const piece of [1, 3, bytes.length]) {
    const { admitted, disconnected, refusal } = meter(bytes, piece);
    expect([admitted, disconnected, refusal]).toEqual([CONNECT.length + 2, true, null]);
  }
});

test('spoiled bytes are judged alike whatever the pieces they come in', () => {
  const bytes = [...CONNECT, ...publish(140), ...PINGREQ, 0x82, 6, 0, 1, 0, 1, 0x61, 1];
  let refused = 0;
  fc.assert(
    fc.property(
      fc.nat(bytes.length - 1),
      fc.nat(255),
      fc.integer({ min: 1, max: bytes.length }),
      (at, byte, piece) => {
        const spoiled = bytes.toSpliced(at, 1, byte);
        const whole = meter(spoiled, spoiled.length);
        if (whole.refusal !== null) refused += 1;
        expect(meter(spoiled, piece).refusal).toBe(whole.refusal);
      },
    ),
    { numRuns: 3_000 },
  );
  expect(refused).toBeGreaterThan(100);
});

test.each([
  ['a first packet that is not CONNECT', publish(4), 'notConnect'],
  ['TLS on the plain port', [0x16, 0x03, 0x01, 0x02], 'notConnect'],
  ['a long CONNECT', [0x10, 101], 'controlTooLong'],
  ['a long publish', [...CONNECT, ...publish(301)], 'publishTooLong'],
  ['a long topic', [...CONNECT, 0x30, 50, 0, 48], 'publishTooLong'],
  ['256 MB announced', [...CONNECT, 0x30, 0xff, 0xff, 0xff, 0x7f], 'publishTooLong'],
  ['a length of five bytes', [...CONNECT, 0x30, 0x80, 0x80, 0x80, 0x80, 1], 'lengthMalformed'],
  ['a topic longer than its packet', [...CONNECT, 0x30, 4, 0, 3, 0x61, 0x61], 'length'],
  ['a second CONNECT', [...CONNECT, ...CONNECT], 'secondConnect'],
] as const)('%s is refused, byte by byte or at once', (_name, bytes, refusal) => {
  expect(meter([...bytes], 1).refusal).toBe(refusal);
  expect(meter([...bytes], bytes.length).refusal).toBe(refusal);
});
