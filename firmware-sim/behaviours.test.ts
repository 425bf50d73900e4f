import { expect, test } from 'vitest';
import { faultQueue, LINE_FAULT_NAMES, LINE_FAULTS, type Exchange } from './behaviours.ts';
import { crc16, withCrc } from './modbus-slave.ts';

const REQUEST = withCrc([1, 4, 0, 0, 0, 1]);
const REPLY = withCrc([1, 4, 2, 0, 42]);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const sound = (bytes: Uint8Array) =>
  crc16(bytes.subarray(0, -2)) === (bytes.at(-2) ?? 0) + (bytes.at(-1) ?? 0) * 256;

function tryOut(behave: (exchange: Exchange) => boolean) {
  const sent: { bytes: string; extra_ms: number }[] = [];
  let done = 0;
  const taken = behave({
    request: REQUEST,
    honest: () => {
      done += 1;
      return REPLY;
    },
    send: (bytes, extra_ms = 0) => sent.push({ bytes: hex(bytes), extra_ms }),
  });
  return { sent, done, taken };
}

test('each fault, as it looks on the wire', async () => {
  const lines = LINE_FAULT_NAMES.map((name) => {
    const { sent, done, taken } = tryOut(LINE_FAULTS[name].behave);
    expect(taken).toBe(true);
    expect(done).toBeLessThanOrEqual(1);
    const wire = sent.map(({ bytes, extra_ms }) =>
      extra_ms > 0 ? `+${extra_ms} ms ${bytes}` : bytes,
    );
    return `${name.padEnd(10)} ${done ? 'done    ' : 'not done'} ${wire.join(' | ') || '(nothing)'}`;
  });
  await expect(
    `request    ${hex(REQUEST)}\nreply      ${hex(REPLY)}\n${lines.join('\n')}\n`,
  ).toMatchFileSnapshot('behaviours.table.txt');
});

test('a flipped bit breaks the CRC; an exception or another unit does not', () => {
  const bytesOf = (name: 'crc' | 'busy' | 'wrongUnit') =>
    Uint8Array.from(Buffer.from(tryOut(LINE_FAULTS[name].behave).sent[0]?.bytes ?? '', 'hex'));
  expect(sound(bytesOf('crc'))).toBe(false);
  expect(sound(bytesOf('busy'))).toBe(true);
  expect(sound(bytesOf('wrongUnit'))).toBe(true);
  expect(bytesOf('wrongUnit')[0]).not.toBe(1);
});

test('faults are used up one exchange each, in the order they were ordered', () => {
  const queue = faultQueue();
  expect(tryOut(queue.behaviour).taken).toBe(false);
  queue.add('silence', 2);
  queue.add('crc', 1);
  queue.add('silence', 1);
  expect(queue.waiting).toBe(4);
  const seen = Array.from({ length: 5 }, () => tryOut(queue.behaviour));
  expect(seen.map(({ sent, taken }) => (taken ? sent.length : 'healthy'))).toEqual([
    0,
    0,
    0,
    1,
    'healthy',
  ]);
  queue.add('echo', 3);
  queue.clear();
  expect(tryOut(queue.behaviour).taken).toBe(false);
});

test('a queue for one unit leaves the others alone', () => {
  const queue = faultQueue(2);
  queue.add('silence', 1);
  expect(tryOut(queue.behaviour).taken).toBe(false);
  expect(queue.waiting).toBe(1);
});
