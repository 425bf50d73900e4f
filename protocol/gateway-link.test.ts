import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { BATCH_MESSAGES_MAX, decodeFrames, encodeFrames } from './gateway-link.ts';

const frame = fc.record({
  topic: fc.string({ unit: 'grapheme', maxLength: 60 }),
  payload: fc.uint8Array({ maxLength: 200 }),
});

describe('frames between gateway and cloud', () => {
  test('come back as they went', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), (frames) => {
        const decoded = decodeFrames(encodeFrames(frames));
        expect(decoded?.map(({ topic, payload }) => ({ topic, payload: [...payload] }))).toEqual(
          frames.map(({ topic, payload }) => ({ topic, payload: [...payload] })),
        );
      }),
    );
  });

  test('one frame by hand', () => {
    const bytes = encodeFrames([{ topic: 'a/é', payload: new Uint8Array([7]) }]);
    expect(Buffer.from(bytes).toString('hex')).toBe('0004612fc3a9' + '00000001' + '07');
  });

  test('bytes that do not add up are refused, never thrown at, never read past their end', () => {
    const reached = { refused: 0, accepted: 0 };
    const mutated = fc
      .tuple(
        fc.array(frame, { maxLength: 4 }),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.boolean(),
      )
      .map(([frames, at, byte, cut]) => {
        const bytes = encodeFrames(frames);
        if (bytes.length === 0) return bytes;
        if (cut) return bytes.subarray(0, at % bytes.length);
        bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        const frames = decodeFrames(bytes);
        reached[frames === null ? 'refused' : 'accepted'] += 1;
        const total = frames?.reduce((sum, { payload }) => sum + payload.length, 0) ?? 0;
        expect(total).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 20_000 },
    );
    expect(reached.refused).toBeGreaterThan(2_000);
    expect(reached.accepted).toBeGreaterThan(2_000);
  });

  test('more messages than a batch may hold are refused', () => {
    const many = Array.from({ length: BATCH_MESSAGES_MAX + 1 }, () => ({
      topic: 't',
      payload: new Uint8Array(0),
    }));
    expect(decodeFrames(encodeFrames(many))).toBeNull();
    expect(decodeFrames(encodeFrames(many.slice(1)))).toHaveLength(BATCH_MESSAGES_MAX);
  });
});
