/**
 * The key set: which public keys may issue cards and sign status lists, until when, and which cards are cut off.
 * Signed by a root that every station has pinned; its version only rises.
 */
import { CLAIM } from './card.ts';
import {
  UINT32_MAX,
  arrayItems,
  decodeExact,
  encodeCbor,
  hex,
  isBytes,
  isUint,
  mapValues,
  unhex,
} from './cbor.ts';
import { coseKeyMap, readCoseKey, type P256Point } from './cose-key.ts';
import {
  KEY_ID_BYTES,
  decodeKeyHeader,
  decodeSign1,
  draftSign1,
  encodeKeyHeader,
  toBeSigned,
  type Draft,
} from './cose.ts';

export const KEY_SET_BYTES_MAX = 48 * 1024;
const KEYS_MAX = 128;
const CUTS_MAX = 1024;
const VERSION = -65538;
const KEYS = -65539;
const CUTS = -65540;

/** The place in this list is the number on the wire. */
export const KEY_USES = ['card', 'statusList'] as const;
export type KeyUse = (typeof KEY_USES)[number];

export interface TrustedKey {
  /** 8 hex digits. */
  kid: string;
  use: KeyUse;
  /** A card or list dated earlier was not made with this key. */
  not_before_s: number;
  /** Nothing this key has signed is good from here on. */
  expires_at_s: number;
  /** Longest life of a card (or list) under this key. */
  max_life_s: number;
  point: P256Point;
}

/** Every card issued before `issued_before_s` is void: of one organisation, or by one key. */
export type Cut = { issued_before_s: number } & ({ org: number } | { kid: string });

export interface KeySet {
  version: number;
  issued_at_s: number;
  expires_at_s: number;
  keys: TrustedKey[];
  cuts: Cut[];
}

export interface SignedKeySet {
  /** The root's key, 8 hex digits. */
  kid: string;
  key_set: KeySet;
  signature: Uint8Array;
  toBeSigned(): Uint8Array;
}

/** Throws RangeError when a field does not fit or two keys share a kid. */
export function draftKeySet(root_kid: Uint8Array, key_set: KeySet): Draft<Uint8Array> {
  if (readKeySet(keySetMap(key_set)) === null) {
    throw new RangeError('a field of the key set is out of range, or a kid is there twice');
  }
  return draftSign1('keySet', {
    protected_header: encodeKeyHeader({ kid: root_kid, typ: null }),
    payload: encodeKeySet(key_set),
  });
}

/** `null` unless it has exactly the specified shape and size. Verifies no signature and no time. */
export function decodeKeySet(bytes: Uint8Array): SignedKeySet | null {
  if (bytes.length > KEY_SET_BYTES_MAX) return null;
  const message = decodeSign1(bytes);
  if (message === null) return null;
  const header = decodeKeyHeader(message.protected_header);
  const key_set = decodeExact(message.payload, readKeySet, encodeKeySet);
  if (header === null || header.typ !== null || key_set === null) return null;
  return {
    kid: hex(header.kid),
    key_set,
    signature: message.signature,
    toBeSigned: () => toBeSigned('keySet', message),
  };
}

function keySetMap(set: KeySet): Map<number, unknown> {
  return new Map<number, unknown>([
    [CLAIM.exp, set.expires_at_s],
    [CLAIM.iat, set.issued_at_s],
    [VERSION, set.version],
    [KEYS, set.keys.map(keyItems)],
    [CUTS, set.cuts.map((cut) => ['org' in cut ? cut.org : unhex(cut.kid), cut.issued_before_s])],
  ]);
}

function keyItems(key: TrustedKey): unknown[] {
  return [
    KEY_USES.indexOf(key.use),
    key.not_before_s,
    key.expires_at_s,
    key.max_life_s,
    unhex(key.kid),
    coseKeyMap(key.point),
  ];
}

function encodeKeySet(set: KeySet): Uint8Array {
  return encodeCbor(keySetMap(set));
}

function readKeySet(value: unknown): KeySet | null {
  const [expires_at_s, issued_at_s, version, key_list, cut_list] =
    mapValues(value, [CLAIM.exp, CLAIM.iat, VERSION, KEYS, CUTS]) ?? [];
  if (!isUint(expires_at_s, UINT32_MAX) || !isUint(issued_at_s, UINT32_MAX)) return null;
  if (!isUint(version, UINT32_MAX) || version === 0 || expires_at_s <= issued_at_s) return null;
  const keys = readList(key_list, KEYS_MAX, readKey);
  const cuts = readList(cut_list, CUTS_MAX, readCut);
  if (keys === null || cuts === null) return null;
  if (new Set(keys.map((key) => key.kid)).size !== keys.length) return null;
  return { version, issued_at_s, expires_at_s, keys, cuts };
}

function readList<T>(value: unknown, limit: number, read: (item: unknown) => T | null): T[] | null {
  if (!Array.isArray(value) || value.length > limit) return null;
  const items = value.map(read).filter((item) => item !== null);
  return items.length === value.length ? items : null;
}

function readKey(value: unknown): TrustedKey | null {
  const [use_number, not_before_s, expires_at_s, max_life_s, kid, cose_key] =
    arrayItems(value, 6) ?? [];
  const point = readCoseKey(cose_key);
  const use = typeof use_number === 'number' ? KEY_USES[use_number] : undefined;
  if (point === null || use === undefined || !isBytes(kid, KEY_ID_BYTES)) return null;
  if (!isUint(not_before_s, UINT32_MAX) || !isUint(expires_at_s, UINT32_MAX)) return null;
  if (!isUint(max_life_s, UINT32_MAX) || expires_at_s <= not_before_s) return null;
  return { kid: hex(kid), use, not_before_s, expires_at_s, max_life_s, point };
}

function readCut(value: unknown): Cut | null {
  const [whose, issued_before_s] = arrayItems(value, 2) ?? [];
  if (!isUint(issued_before_s, UINT32_MAX)) return null;
  if (isBytes(whose, KEY_ID_BYTES)) return { kid: hex(whose), issued_before_s };
  return isUint(whose, UINT32_MAX) ? { org: whose, issued_before_s } : null;
}
