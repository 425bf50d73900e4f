/** When card and status keys come and go: pure over the keys there are and the time. */
import { CARD_LIFE_S } from '@waystation/protocol/card/card';
import { KEY_USES, type KeyUse, type TrustedKey } from '@waystation/protocol/card/key-set';

const DAY_S = 86_400;
/** A key signs for a quarter. */
export const SIGNING_LIFE_S = 90 * DAY_S;
/** A key is published this long before its first use, so that a station with a bad line knows it in time. */
export const PUBLISH_AHEAD_S = 30 * DAY_S;
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
    const covered_until_s = Math.max(...keep.filter((key) => key.use === use).map(signsUntil), 0);
    return covered_until_s >= now_s + PUBLISH_AHEAD_S
      ? []
      : [orderKey(use, Math.max(covered_until_s, now_s))];
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
