/** Keys over two years: the door never meets a card of a key it could not know, and no key outlives its plan. */
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  PUBLISH_AHEAD_S,
  SIGNING_LIFE_S,
  orderKey,
  planKeys,
  signsUntil,
} from '@waystation/cloud/cards/key-plan';
import type { CardOrder } from '@waystation/cloud/cards/issuer';
import { openCardKeys } from '@waystation/cloud/cards/key-store';
import { decodeCard } from '@waystation/protocol/card/card';
import { KEY_USES, type TrustedKey } from '@waystation/protocol/card/key-set';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DAY_S, NOW_S, createWorld, outcome, present, type World } from './world.ts';

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.remove());

const atDay = (day: number) => NOW_S + day * DAY_S;

test('two years of daily renewal: each day’s card opens, at a station that hears of keys only once a month', () => {
  const used = new Set<string>();
  let published = 0;
  for (let day = 0; day <= 730; day += 1) {
    const now_s = atDay(day);
    if (world.keys.renew(now_s)) published += 1;
    if (day % 30 === 0) {
      world.trust.applyKeySet(world.keys.keySet().body);
      world.trust.applyStatusList(world.publish(day + 2, [], now_s));
    }
    const verdict = outcome(
      world.verify(present(world.member({ issued_at_s: now_s }), 1, now_s), now_s),
    );
    expect(verdict, `day ${day}`).toBe('valid');
    used.add(world.keys.signingKey('card', now_s).kid);
    expect(world.keys.keySet().key_set.keys.length).toBeLessThanOrEqual(6);
  }
  expect(used.size).toBe(Math.ceil(731 / 90));
  expect(published).toBeLessThan(40);
});

test('a card of the old key opens until it ends, beside those of the new one', () => {
  const old = world.member({ issued_at_s: atDay(89) });
  for (const day of [60, 89, 91]) world.keys.renew(atDay(day));
  world.trust.applyKeySet(world.keys.keySet().body);
  world.trust.applyStatusList(world.publish(2, [], atDay(91)));
  const young = world.member({ issued_at_s: atDay(91) });
  const shown = (of: typeof old, day: number) =>
    outcome(world.verify(present(of, 1, atDay(day)), atDay(day)));
  expect([
    shown(old, 91),
    shown(young, 91),
    shown(old, 123),
    shown(young, 123),
    shown(old, 124),
  ]).toEqual(['valid', 'valid', 'valid', 'valid', 'cardExpired']);
});

describe('the plan', () => {
  const withKid = (order: Omit<TrustedKey, 'kid' | 'point'>) => order;

  test('makes keys for now and for everything that is signed in the next 100 days', () => {
    const first = planKeys([], NOW_S).make;
    const begins = (use: string) =>
      first.filter((key) => key.use === use).map((key) => key.not_before_s);
    const ends_s = NOW_S + SIGNING_LIFE_S;
    expect(KEY_USES.map(begins)).toEqual(KEY_USES.map(() => [NOW_S, ends_s]));
    const due_s = signsUntil(first[1] ?? orderKey('card', 0)) - PUBLISH_AHEAD_S;
    const at = (now_s: number) =>
      planKeys(first.map(withKid), now_s).make.map((key) => key.not_before_s);
    expect(at(due_s)).toEqual([]);
    expect(at(due_s + 1)).toEqual(KEY_USES.map(() => ends_s + SIGNING_LIFE_S));
  });

  test('a key withdrawn while its successor waits is replaced at once', () => {
    const [, next] = planKeys([], NOW_S).make.filter((key) => key.use === 'card');
    const { make } = planKeys(next === undefined ? [] : [withKid(next)], NOW_S + 1);
    expect(make.find((key) => key.use === 'card')?.not_before_s).toBe(NOW_S + 1);
  });

  test('a station that hears nothing for 90 days knows who signed each card, whenever the silence begins', () => {
    for (let day = 0; day < 200; day += 1) {
      world.keys.renew(atDay(day));
      world.trust.applyKeySet(world.keys.keySet().body);
      const { keys, expires_at_s } = world.keys.keySet().key_set;
      const ahead = keys.filter((key) => key.use === 'card').map(signsUntil);
      expect(Math.max(...ahead), `day ${day}`).toBeGreaterThanOrEqual(atDay(day + 90));
      expect(expires_at_s, `day ${day}`).toBeGreaterThan(atDay(day + 90));
    }
  });

  test('after a year of sleep begins anew', () => {
    const first = planKeys([], NOW_S).make;
    const { keep, make } = planKeys(first.map(withKid), atDay(365));
    expect(keep).toEqual([]);
    expect(make.map((key) => key.not_before_s)).toEqual(
      KEY_USES.flatMap(() => [atDay(365), atDay(365) + SIGNING_LIFE_S]),
    );
  });
});

test('a key set is signed anew after two months, even when no key comes or goes', () => {
  expect([world.keys.renew(atDay(60)), world.keys.renew(atDay(61))]).toEqual([false, true]);
  expect(world.keys.keySet().key_set.expires_at_s).toBe(atDay(61 + 180));
});

test('a key that may no longer sign does not, though what it signed is still good', () => {
  const key = world.keys.signingKey('card', atDay(180) - 1);
  expect(() => world.keys.signingKey('card', atDay(180))).toThrow(
    /CARD_KEY_INVALID.*no key may sign/,
  );
  expect(key.expires_at_s).toBe(atDay(90 + 125));
});

describe('the issuer', () => {
  const issue = (order: Partial<CardOrder>) => () => world.member(order);

  test.each<[string, Partial<CardOrder>, RegExp]>([
    ['a life longer than the key allows', { life_s: 35 * DAY_S + 1 }, /CARD_INVALID.*longer/],
    ['no life', { life_s: 0 }, /CARD_INVALID.*range/],
    [
      'a holder key off the curve',
      { holder: { x: new Uint8Array(32).fill(0xff), y_odd: true } },
      /CARD_INVALID.*no point/,
    ],
    ['rights of 17 bits', { rights: 0x1_0000 }, /CARD_INVALID.*range/],
  ])('refuses %s', (_, order, problem) => {
    expect(issue(order)).toThrow(problem);
  });

  test('gives 35 days unless told less', () => {
    const life = (order: Partial<CardOrder>) => {
      const claims = decodeCard(world.member(order).card)?.claims;
      return (claims?.expires_at_s ?? 0) - (claims?.issued_at_s ?? 0);
    };
    expect([life({}), life({ life_s: 7 * DAY_S })]).toEqual([35 * DAY_S, 7 * DAY_S]);
  });
});

describe('the key files', () => {
  const files = () => join(world.directory, 'keys');

  test('private ones are the owner’s alone, and no private key is in what stations get', () => {
    const names = readdirSync(files());
    const secret = names.filter((name) => name.endsWith('.private.pem'));
    expect(secret).toHaveLength(6); // two roots, and of each use the key of now and the next one
    for (const name of secret) expect(statSync(join(files(), name)).mode & 0o777, name).toBe(0o600);
    expect(
      names.filter((name) => !secret.includes(name)).toSorted((a, b) => a.localeCompare(b)),
    ).toEqual(['key-set.cose', 'root-public.json']);
    for (const key of JSON.parse(readFileSync(join(files(), 'root-public.json'), 'utf8')).keys) {
      expect(Object.keys(key)).toEqual(['kty', 'crv', 'x', 'y', 'kid']);
    }
  });

  test('are taken up again as they are', () => {
    const again = openCardKeys(files(), NOW_S + 60);
    expect(again.keySet()).toEqual(world.keys.keySet());
    expect(again.rootPublicJson()).toBe(world.keys.rootPublicJson());
    const own = (keys: typeof again) => keys.signingKey('card', NOW_S);
    expect(own(again).signer.point).toEqual(own(world.keys).signer.point);
  });

  test('without the roots all goes on until a new key set is due, and then says so', () => {
    for (const root of ['root-current', 'root-next']) rmSync(join(files(), `${root}.private.pem`));
    const keys = openCardKeys(files(), atDay(59));
    expect(keys.renew(atDay(60))).toBe(false);
    expect(keys.signingKey('card', atDay(60)).kid).toBe(world.keys.signingKey('card', NOW_S).kid);
    expect(() => keys.renew(atDay(61))).toThrow(/CARD_KEY_INVALID.*no root key is here/);
  });

  test('a missing or foreign file is named', () => {
    const { kid } = world.keys.signingKey('card', NOW_S);
    rmSync(join(files(), `card-${kid}.private.pem`));
    expect(() => openCardKeys(files(), NOW_S).signingKey('card', NOW_S)).toThrow(
      new RegExp(`card-${kid}.*missing`),
    );
  });
});
