/** When card and status keys come and go: pure over the keys there are and the time. */
import { CARD_LIFE_S } from '@waystation/protocol/card/card';
import { KEY_USES, type KeyUse, type TrustedKey } from '@waystation/protocol/card/key-set';

const DAY_S = 86_400;
/** A key signs for a quarter. */
export const SIGNING_LIFE_S = 90 * DAY_S;
/**
 * Keys are published for everything that will be signed in this time: a station that hears of no key for a season
 * still knows who signed the cards that phones with a network have renewed meanwhile.
 */
export const PUBLISH_AHEAD_S = 100 * DAY_S;
/** No station accepts a longer card, whoever signed it. A status list lives as long. */
export const MAX_LIFE_S = CARD_LIFE_S;

/** A key still to be made. */
export type KeyOrder = Omit<TrustedKey, 'kid' | 'point'>;

/** The last moment a key may sign: everything it signs ends before the key does. */
export function signsUntil(key: KeyOrder): number {
  return key.expires_at_s - key.max_life_s;
}

export function orderKey(use: KeyUse, not_before_s: number): KeyOrder {
  return {
    use,
    not_before_s,
    expires_at_s: not_before_s + SIGNING_LIFE_S + MAX_LIFE_S,
    max_life_s: MAX_LIFE_S,
  };
}

/** Which keys stay published, and which must be made now so that no use is ever without a published successor. */
export function planKeys<K extends KeyOrder>(
  keys: readonly K[],
  now_s: number,
): { keep: K[]; make: KeyOrder[] } {
  const keep = keys.filter((key) => key.expires_at_s > now_s);
  const make = KEY_USES.flatMap((use) => {
    const orders: KeyOrder[] = [];
    const known = keep.filter((key) => key.use === use);
    let covered_until_s = now_s;
    while (covered_until_s < now_s + PUBLISH_AHEAD_S) {
      const signing = known.filter((key) => key.not_before_s <= covered_until_s);
      const reach_s = Math.max(0, ...signing.map(signsUntil));
      if (reach_s <= covered_until_s) orders.push(orderKey(use, covered_until_s));
      covered_until_s = reach_s > covered_until_s ? reach_s : covered_until_s + SIGNING_LIFE_S;
    }
    return orders;
  });
  return { keep, make };
}

/** The key that signs now: of those in their signing life the one that began last, made last. */
export function signingKey<K extends KeyOrder>(
  keys: readonly K[],
  use: KeyUse,
  now_s: number,
): K | undefined {
  return keys
    .filter((key) => key.use === use && key.not_before_s <= now_s && now_s < signsUntil(key))
    .toSorted((a, b) => a.not_before_s - b.not_before_s)
    .at(-1);
}
