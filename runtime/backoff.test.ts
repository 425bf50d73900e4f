import { expect, test } from 'vitest';
import fc from 'fast-check';
import { backoff } from './backoff.ts';
import { prng } from './prng.ts';

test('each wait lies between half and the whole of a step that doubles up to the limit', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1000, max: 60_000 }),
      (seed, first_ms, max_ms) => {
        const waits = backoff(prng(seed), { first_ms, max_ms });
        for (
          let base_ms = first_ms, n = 0;
          n < 20;
          n += 1, base_ms = Math.min(base_ms * 2, max_ms)
        ) {
          const { value } = waits.next();
          expect(value).toBeGreaterThanOrEqual(Math.floor(base_ms / 2));
          expect(value).toBeLessThanOrEqual(base_ms);
        }
      },
    ),
  );
});
