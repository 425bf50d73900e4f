import { createHash } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex, unhex } from './cbor.ts';
import { draftKeySet, decodeKeySet, type KeySet } from './key-set.ts';
import {
  applyToggles,
  decodeStatusToken,
  draftStatusToken,
  encodeToggles,
  isRevoked,
  statusListOf,
  type StatusToken,
} from './status-list.ts';

const KID = unhex('01020304');
const SIGNATURE = new Uint8Array(64).fill(0xaa);

describe('the list', () => {
  // draft-ietf-oauth-status-list, §4.1 (1 bit) and §4.3: the bits 1001110111000101 and their zlib form.
  const BITS = '1001110111000101';
  const DRAFT_LIST = unhex('b9a3');

  test('the draft’s example, bit by bit', () => {
    expect(new Uint8Array(inflateSync(unhex('78dadbb918000217015d')))).toEqual(DRAFT_LIST);
    expect(Array.from(BITS, (_, index) => Number(isRevoked(DRAFT_LIST, index))).join('')).toBe(
      BITS,
    );
    const revoked = Array.from(BITS, (bit, index) => (bit === '1' ? index : -1)).filter(
      (index) => index >= 0,
    );
    expect(statusListOf(revoked, 2)).toEqual(DRAFT_LIST);
  });

  test('a revoked card is its own bit and no neighbour’s', () => {
    for (let index = 0; index < 64; index += 1) {
      const list = statusListOf([index], 8);
      expect(Array.from({ length: 64 }, (_, other) => isRevoked(list, other))).toEqual(
        Array.from({ length: 64 }, (_, other) => other === index),
      );
    }
  });

  test('ends where it ends', () => {
    expect(isRevoked(new Uint8Array(2), 15)).toBe(false);
    expect(isRevoked(new Uint8Array(2), 16)).toBeNull();
    expect(isRevoked(new Uint8Array(2), 0xffff_ffff)).toBeNull();
    expect(() => statusListOf([16], 2)).toThrow(RangeError);
    expect(() => statusListOf([-1], 2)).toThrow(RangeError);
  });
});

describe('a difference', () => {
  const SIZE = 512;
  const revoked = fc.uniqueArray(fc.integer({ min: 0, max: SIZE * 8 - 1 }), { maxLength: 60 });

  test('leads from any list to any other', () => {
    fc.assert(
      fc.property(revoked, revoked, (before, after) => {
        const [from, to] = [statusListOf(before, SIZE), statusListOf(after, SIZE)];
        expect(applyToggles(from, encodeToggles(from, to))).toEqual(to);
        expect(from).toEqual(statusListOf(before, SIZE));
      }),
    );
  });

  test('is small and exact at the ends', () => {
    const empty = new Uint8Array(SIZE);
    expect(hex(encodeToggles(empty, empty))).toBe('');
    expect(hex(encodeToggles(empty, statusListOf([0, 1, 4095], SIZE)))).toBe('0000fd1f');
  });

  test.each([
    ['beyond the list', '8020'],
    ['cut short', '80'],
    ['longer than 28 bits', '8080808001'],
  ])('%s is refused', (_, toggles) => {
    expect(applyToggles(new Uint8Array(SIZE), unhex(toggles))).toBeNull();
  });
});

describe('tokens', () => {
  const full: StatusToken = {
    version: 7,
    issued_at_s: 1_790_000_000,
    expires_at_s: 1_793_024_000,
    ttl_s: 900,
    body: { kind: 'full', lst: unhex('78dadbb918000217015d') },
  };
  const delta: StatusToken = {
    ...full,
    body: {
      kind: 'delta',
      from: 6,
      toggles: Uint8Array.of(3),
      sha256: new Uint8Array(createHash('sha256').digest()),
    },
  };

  test.each([
    ['full', full],
    ['delta', delta],
  ])('%s comes back', (_, token) => {
    const bytes = draftStatusToken(KID, token).finish(SIGNATURE);
    expect(decodeStatusToken(bytes)?.token).toEqual(token);
    expect(decodeStatusToken(bytes)?.kid).toBe('01020304');
  });

  test('neither passes for the other: the type is in the protected header', () => {
    const bytes = hex(draftStatusToken(KID, full).finish(SIGNATURE));
    const typ = Buffer.from('application/statuslist+cwt').toString('hex');
    const foreign = Buffer.from('application/statuslist+cbt').toString('hex');
    expect(bytes).toContain(typ);
    expect(decodeStatusToken(unhex(bytes.replace(typ, foreign)))).toBeNull();
  });

  test.each<[string, StatusToken]>([
    ['version 0', { ...full, version: 0 }],
    ['an end before its issue', { ...full, expires_at_s: full.issued_at_s }],
    ['a difference to itself', { ...delta, version: 6 }],
    ['a short hash', { ...delta, body: { kind: 'delta', from: 1, toggles: KID, sha256: KID } }],
  ])('%s cannot be made', (_, token) => {
    expect(() => draftStatusToken(KID, token)).toThrow(RangeError);
  });
});

describe('key set', () => {
  const key = {
    kid: '01020304',
    use: 'card' as const,
    not_before_s: 1,
    expires_at_s: 2,
    max_life_s: 3,
    point: { x: new Uint8Array(32).fill(1), y_odd: false },
  };
  const set: KeySet = {
    version: 3,
    issued_at_s: 1_790_000_000,
    expires_at_s: 1_793_024_000,
    keys: [key, { ...key, kid: '01020305', use: 'statusList' }],
    cuts: [
      { org: 370_102, issued_before_s: 5 },
      { kid: '01020304', issued_before_s: 6 },
    ],
  };

  test('comes back', () => {
    const bytes = draftKeySet(KID, set).finish(SIGNATURE);
    expect(decodeKeySet(bytes)).toMatchObject({ kid: '01020304', key_set: set });
  });

  test.each<[string, KeySet]>([
    ['two keys of one kid', { ...set, keys: [key, key] }],
    ['version 0', { ...set, version: 0 }],
    ['a key that ends before it begins', { ...set, keys: [{ ...key, expires_at_s: 1 }] }],
    [
      'more keys than the limit',
      {
        ...set,
        keys: Array.from({ length: 129 }, (_, n) => ({
          ...key,
          kid: hex(Uint8Array.of(0, 0, 0, n)),
        })),
      },
    ],
    ['a short kid', { ...set, keys: [{ ...key, kid: '0102' }] }],
  ])('%s cannot be made', (_, wrong) => {
    expect(() => draftKeySet(KID, wrong)).toThrow(RangeError);
  });

  test('a use this station does not know makes the whole set unreadable', () => {
    const bytes = hex(draftKeySet(KID, { ...set, keys: [key] }).finish(SIGNATURE));
    expect(bytes).toContain('8186000102034401020304');
    expect(
      decodeKeySet(unhex(bytes.replace('8186000102034401020304', '8186020102034401020304'))),
    ).toBeNull();
  });
});
