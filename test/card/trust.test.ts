/** What a station believes, and goes on believing after a restart: signed by whom, how new, and no way back. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { parseRootKeys } from '@waystation/edge/card/root-keys';
import { draftKeySet } from '@waystation/protocol/card/key-set';
import { STATUS_LIST_BYTES_MAX, draftStatusToken } from '@waystation/protocol/card/status-list';
import { generatePrivateKeyPem, nodeSigner } from '@waystation/runtime/p256';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DAY_S, NOW_S, createWorld, outcome, present, type World } from './world.ts';

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.remove());

const stranger = nodeSigner(generatePrivateKeyPem());

describe('key set', () => {
  test('an older or equal version changes nothing, now and after a restart', () => {
    const first = world.keys.keySet().body;
    expect(world.keys.renew(NOW_S, { cuts: [{ org: 1, issued_before_s: 1 }] })).toBe(true);
    const second = world.keys.keySet().body;
    expect(world.trust.applyKeySet(second)).toBe(true);
    for (const station of [world, world.restart()]) {
      expect(station.trust.applyKeySet(first)).toBe(false);
      expect(station.trust.applyKeySet(second)).toBe(false);
      expect(station.trust.versions().key_set_version).toBe(2);
      expect(station.trust.current().key_set?.cuts).toHaveLength(1);
    }
  });

  test('only a pinned root makes one', () => {
    const { key_set } = world.keys.keySet();
    const by = (kid: Uint8Array) => {
      const draft = draftKeySet(kid, { ...key_set, version: 99 });
      return draft.finish(stranger.sign(draft.to_be_signed));
    };
    const root_kid = Buffer.from(JSON.parse(world.keys.rootPublicJson()).keys[0].kid, 'hex');
    expect(() => world.trust.applyKeySet(by(stranger.kid))).toThrow(
      /TRUST_INVALID.*no pinned root/,
    );
    expect(() => world.trust.applyKeySet(by(root_kid))).toThrow(/TRUST_INVALID.*signature/);
    expect(world.trust.versions().key_set_version).toBe(1);
  });

  test('the next root is pinned beside the current one', () => {
    const next = nodeSigner(
      readFileSync(join(world.directory, 'keys/root-next.private.pem'), 'utf8'),
    );
    const draft = draftKeySet(next.kid, { ...world.keys.keySet().key_set, version: 2 });
    expect(world.trust.applyKeySet(draft.finish(next.sign(draft.to_be_signed)))).toBe(true);
  });

  test('every changed bit is refused', () => {
    const body = world.keys.keySet().body;
    for (let bit = 0; bit < body.length * 8; bit += 7) {
      const damaged = body.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => world.trust.applyKeySet(damaged), `bit ${bit}`).toThrow(/TRUST_INVALID/);
    }
  });

  test('a withdrawn key is unknown at once, also to the memory of good cards', () => {
    const member = world.member();
    expect(outcome(world.verify(present(member, 1)))).toBe('valid');
    const { kid } = world.keys.signingKey('card', NOW_S);
    world.keys.renew(NOW_S, { withdraw: kid, begin: [{ use: 'card', from_s: NOW_S }] });
    world.trust.applyKeySet(world.keys.keySet().body);
    expect(outcome(world.verify(present(member, 2)))).toBe('unknownIssuer');
    expect(outcome(world.verify(present(world.member(), 1)))).toBe('valid');
  });
});

test('a kid that comes to stand for another key takes the remembered cards with it', () => {
  const member = world.member();
  expect(outcome(world.verify(present(member, 1)))).toBe('valid');
  const { key_set } = world.keys.keySet();
  const keys = key_set.keys.map((key) =>
    key.use === 'card' ? { ...key, point: stranger.point } : key,
  );
  const root = nodeSigner(
    readFileSync(join(world.directory, 'keys/root-current.private.pem'), 'utf8'),
  );
  const draft = draftKeySet(root.kid, { ...key_set, version: 2, keys });
  expect(world.trust.applyKeySet(draft.finish(root.sign(draft.to_be_signed)))).toBe(true);
  expect(outcome(world.verify(present(member, 2)))).toBe('badIssuerSignature');
});

describe('status list', () => {
  const revokedAt = (station: World, index: number) =>
    outcome(station.verify(present(station.member({ index }), 1))) === 'revoked';

  test('whole lists and differences lead to the same bits, in the next process too', () => {
    expect(world.trust.applyStatusList(world.publish(2, [3, 80]))).toBe(true);
    expect(world.trust.applyStatusList(world.publishDelta([2, [3, 80]], [3, [3, 4, 999]]))).toBe(
      true,
    );
    for (const station of [world, world.restart()]) {
      expect(station.trust.versions().status_list_version).toBe(3);
      expect([3, 4, 80, 999].map((index) => revokedAt(station, index))).toEqual([
        true,
        true,
        false,
        true,
      ]);
    }
    const restarted = world.restart();
    expect(restarted.trust.applyStatusList(world.publishDelta([3, [3, 4, 999]], [4, [3]]))).toBe(
      true,
    );
    expect([3, 4, 999].map((index) => revokedAt(restarted, index))).toEqual([true, false, false]);
  });

  test('older versions, and differences to another version, change nothing', () => {
    world.trust.applyStatusList(world.publish(5, [3]));
    expect(world.trust.applyStatusList(world.publish(4, []))).toBe(false);
    expect(world.trust.applyStatusList(world.publish(5, []))).toBe(false);
    expect(world.trust.applyStatusList(world.publishDelta([4, []], [6, [4]]))).toBe(false);
    expect(world.restart().trust.applyStatusList(world.publish(4, []))).toBe(false);
    expect(revokedAt(world.restart(), 3)).toBe(true);
  });

  test('a difference from other bits than ours is refused by its hash', () => {
    world.trust.applyStatusList(world.publish(2, [3]));
    expect(() => world.trust.applyStatusList(world.publishDelta([2, [9]], [3, [9, 10]]))).toThrow(
      /TRUST_INVALID.*does not lead/,
    );
    expect(world.trust.versions().status_list_version).toBe(2);
    expect([3, 9, 10].map((index) => revokedAt(world, index))).toEqual([true, false, false]);
  });

  test('only a status key of the key set signs one, within its life', () => {
    const token = {
      version: 9,
      issued_at_s: NOW_S,
      expires_at_s: NOW_S + DAY_S,
      ttl_s: 900,
      body: { kind: 'full' as const, lst: deflateSync(new Uint8Array(8)) },
    };
    const by = (signer: typeof stranger, changes: Partial<typeof token> = {}, kid = signer.kid) => {
      const draft = draftStatusToken(kid, { ...token, ...changes });
      return draft.finish(signer.sign(draft.to_be_signed));
    };
    const { signer, not_before_s } = world.keys.signingKey('statusList', NOW_S);
    const apply = (body: Uint8Array) => () => world.trust.applyStatusList(body);
    expect(apply(by(stranger))).toThrow(/no key of the key set/);
    expect(apply(by(stranger, {}, signer.kid))).toThrow(/signature/);
    expect(apply(by(world.keys.signingKey('card', NOW_S).signer))).toThrow(/no key of the key set/);
    expect(apply(by(signer, { issued_at_s: not_before_s - 1 }))).toThrow(/outside the life/);
    expect(apply(by(signer))()).toBe(true);
  });

  test('what inflates beyond the limit is refused, and only signed data is inflated at all', () => {
    const bomb = deflateSync(new Uint8Array(STATUS_LIST_BYTES_MAX + 1), { level: 9 });
    expect(bomb.length).toBeLessThan(8 * 1024);
    const { signer } = world.keys.signingKey('statusList', NOW_S);
    const times = { issued_at_s: NOW_S, expires_at_s: NOW_S + DAY_S, ttl_s: 900 };
    const draft = draftStatusToken(signer.kid, {
      version: 2,
      ...times,
      body: { kind: 'full', lst: bomb },
    });
    expect(() =>
      world.trust.applyStatusList(draft.finish(signer.sign(draft.to_be_signed))),
    ).toThrow(/TRUST_INVALID.*too long/);
    expect(() => world.trust.applyStatusList(draft.finish(new Uint8Array(64)))).toThrow(
      /signature/,
    );
  });

  test('goes with its key: a new key set without it asks for a whole list', () => {
    world.trust.applyStatusList(world.publish(2, [3]));
    const { kid } = world.keys.signingKey('statusList', NOW_S);
    world.keys.renew(NOW_S, { withdraw: kid, begin: [{ use: 'statusList', from_s: NOW_S }] });
    world.trust.applyKeySet(world.keys.keySet().body);
    expect(world.trust.versions()).toEqual({ key_set_version: 2, status_list_version: 0 });
    expect(outcome(world.verify(present(world.member(), 1)))).toBe('trustMissing');
    expect(world.trust.applyStatusList(world.publish(3, [3]))).toBe(true);
    expect(revokedAt(world, 3)).toBe(true);
  });
});

describe('the files', () => {
  test('are two, replaced as a whole', () => {
    world.trust.applyStatusList(world.publish(2, [1]));
    expect(readdirSync(join(world.directory, 'trust')).toSorted()).toEqual([
      'key-set.cose',
      'status-list.cbor',
    ]);
  });

  test.each(['key-set.cose', 'status-list.cbor'])(
    'a damaged %s is not believed, and replaced by the next',
    (file) => {
      world.trust.applyStatusList(world.publish(2, [1]));
      world.trust.applyStatusList(world.publishDelta([2, [1]], [3, [1, 2]]));
      const path = join(world.directory, 'trust', file);
      const bytes = readFileSync(path);
      for (const at of [0, 20, bytes.length >> 1, bytes.length - 1]) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ 1;
        writeFileSync(path, damaged);
        const station = world.restart();
        expect(station.trust.versions().status_list_version).toBe(0);
        expect(outcome(station.verify(present(world.member(), 1)))).toBe('trustMissing');
        station.trust.applyKeySet(world.keys.keySet().body);
        expect(station.trust.applyStatusList(world.publish(4, []))).toBe(true);
        expect(outcome(station.verify(present(world.member(), 1)))).toBe('valid');
      }
    },
  );

  test('an unfinished replacement is ignored', () => {
    writeFileSync(join(world.directory, 'trust/key-set.cose.new'), 'half');
    expect(world.restart().trust.versions()).toEqual({
      key_set_version: 1,
      status_list_version: 1,
    });
  });

  test('tell the earliest time that can be', () => {
    world.trust.applyStatusList(world.publish(2, [], NOW_S + 77));
    expect(world.restart().trust.signedSince_s()).toBe(NOW_S + 77);
  });
});

describe('pinned roots', () => {
  const json = () => JSON.parse(world.keys.rootPublicJson());
  test.each<[string, (keys: Record<string, string>[]) => unknown, RegExp]>([
    ['no keys', () => ({ keys: [] }), /CONFIG_INVALID.*keys/],
    ['a private key', (keys) => ({ keys: [{ ...keys[0], d: 'AAAA' }] }), /CONFIG_INVALID.*d/],
    ['another curve', (keys) => ({ keys: [{ ...keys[0], crv: 'P-384' }] }), /CONFIG_INVALID.*crv/],
    [
      'a kid that is not the thumbprint',
      (keys) => ({ keys: [{ ...keys[0], kid: '00000000' }] }),
      /CARD_KEY_INVALID.*thumbprint/,
    ],
    [
      'a point off the curve',
      (keys) => ({ keys: [{ ...keys[0], x: keys[0]?.['y'] }] }),
      /CARD_KEY_INVALID/,
    ],
  ])('%s is refused', (_, change, problem) => {
    expect(() => parseRootKeys(JSON.stringify(change(json().keys)), 'root-public.json')).toThrow(
      problem,
    );
  });
});
