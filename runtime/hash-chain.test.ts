import { expect, test } from 'vitest';
import { execFileSync } from 'node:child_process';
import { chainNext, chainStart } from './hash-chain.ts';

/** The same bytes through the system's own SHA-256. */
function sha256sum(text: string): string {
  return execFileSync('sha256sum', { input: text }).toString().slice(0, 64);
}

test('the chain is plain SHA-256 over what the comment says', () => {
  const start = chainStart('370811002W00019', '0123456789ab');
  expect(start).toBe(sha256sum('waystation-chain/1\n370811002W00019\n0123456789ab'));
  expect(chainNext(start, '{"kind":"door"}')).toBe(sha256sum(`${start}\n{"kind":"door"}`));
});

test('another station, epoch, record or order gives another hash', () => {
  const start = chainStart('A', '000000000001');
  const hashes = [
    chainNext(chainNext(start, 'a'), 'b'),
    chainNext(chainNext(start, 'b'), 'a'),
    chainNext(start, 'ab'),
    chainNext(chainNext(chainStart('B', '000000000001'), 'a'), 'b'),
    chainNext(chainNext(chainStart('A', '000000000002'), 'a'), 'b'),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});
