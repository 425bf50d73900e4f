/** The holder keys of cards whose issuer signature was good a moment ago: a regular is let in with one verification. */
import type { KeyObject } from 'node:crypto';

export interface HolderCache {
  /** Forgets everything when `key_set` is another object than before: an issuer key may be gone. */
  belongTo(key_set: object): void;
  get(card_hash: string): KeyObject | undefined;
  put(card_hash: string, holder: KeyObject): void;
}

/** Holds `limit` cards; the one used longest ago makes room. */
export function createHolderCache(limit: number): HolderCache {
  // A Map keeps insertion order, and what is read is inserted anew.
  const holders = new Map<string, KeyObject>();
  let owner: object | null = null;
  return {
    belongTo(key_set) {
      if (owner !== key_set) holders.clear();
      owner = key_set;
    },
    get(card_hash) {
      const holder = holders.get(card_hash);
      if (holder === undefined) return undefined;
      holders.delete(card_hash);
      holders.set(card_hash, holder);
      return holder;
    },
    put(card_hash, holder) {
      holders.set(card_hash, holder);
      const [oldest] = holders.keys();
      if (holders.size > limit && oldest !== undefined) holders.delete(oldest);
    },
  };
}
