/**
 * The member's card: a CWT (RFC 8392) that the issuer signs over the holder's public key (cnf, RFC 8747).
 * It carries numbers only: no name, no id number, no label.
 */
import { UINT32_MAX, arrayItems, decodeExact, encodeCbor, hex, isUint, mapValues } from './cbor.ts';
import { coseKeyMap, readCoseKey, type P256Point } from './cose-key.ts';
import {
  decodeKeyHeader,
  decodeSign1,
  draftSign1,
  encodeKeyHeader,
  toBeSigned,
  type Draft,
} from './cose.ts';

/** IANA "CBOR Web Token (CWT) Claims"; below -65536 is private use. */
export const CLAIM = { sub: 2, aud: 3, exp: 4, iat: 6, cti: 7, cnf: 8, member: -65537 } as const;
const CNF_COSE_KEY = 1;
const RIGHTS_MAX = 0xffff;

/** 35 days: with a dead network the end of the card is the only revocation a station is sure to apply. */
export const CARD_LIFE_S = 35 * 86_400;
/** Renewed silently whenever the phone is online and the card is older than this. */
export const CARD_RENEW_AFTER_S = 7 * 86_400;

export interface CardClaims {
  holder: P256Point;
  /** Place in the status list: the card's number, random, a pseudonym. */
  index: number;
  /** Leaf organisation, as a number. */
  org: number;
  /** Bits of protocol/access.ts RIGHTS. */
  rights: number;
  issued_at_s: number;
  expires_at_s: number;
}

export interface Card {
  /** The issuer's key, 8 hex digits. */
  kid: string;
  claims: CardClaims;
  /** The card as it came. */
  bytes: Uint8Array;
  signature: Uint8Array;
  /** What the issuer signed; built when asked for, since most refused cards are refused before. */
  toBeSigned(): Uint8Array;
}

/** Throws RangeError when a claim does not fit its field. */
export function draftCard(kid: Uint8Array, claims: CardClaims): Draft<Uint8Array> {
  if (readClaims(claimsMap(claims)) === null) {
    throw new RangeError('a claim of the card is out of range');
  }
  return draftSign1('card', {
    protected_header: encodeKeyHeader({ kid, typ: null }),
    payload: encodeClaims(claims),
  });
}

/** `null` unless it has exactly the specified shape. Verifies no signature and no time. */
export function decodeCard(bytes: Uint8Array): Card | null {
  const message = decodeSign1(bytes);
  if (message === null) return null;
  const header = decodeKeyHeader(message.protected_header);
  const claims = decodeExact(message.payload, readClaims, encodeClaims);
  if (header === null || header.typ !== null || claims === null) return null;
  return {
    kid: hex(header.kid),
    claims,
    bytes,
    signature: message.signature,
    toBeSigned: () => toBeSigned('card', message),
  };
}

function claimsMap(claims: CardClaims): Map<number, unknown> {
  return new Map<number, unknown>([
    [CLAIM.exp, claims.expires_at_s],
    [CLAIM.iat, claims.issued_at_s],
    [CLAIM.cnf, new Map([[CNF_COSE_KEY, coseKeyMap(claims.holder)]])],
    [CLAIM.member, [claims.index, claims.org, claims.rights]],
  ]);
}

function encodeClaims(claims: CardClaims): Uint8Array {
  return encodeCbor(claimsMap(claims));
}

function readClaims(value: unknown): CardClaims | null {
  const [expires_at_s, issued_at_s, cnf, member] =
    mapValues(value, [CLAIM.exp, CLAIM.iat, CLAIM.cnf, CLAIM.member]) ?? [];
  const [key] = mapValues(cnf, [CNF_COSE_KEY]) ?? [];
  const holder = readCoseKey(key);
  const [index, org, rights] = arrayItems(member, 3) ?? [];
  if (holder === null || !isUint(expires_at_s, UINT32_MAX) || !isUint(issued_at_s, UINT32_MAX))
    return null;
  if (!isUint(index, UINT32_MAX) || !isUint(org, UINT32_MAX) || !isUint(rights, RIGHTS_MAX))
    return null;
  if (expires_at_s <= issued_at_s) return null;
  return { holder, index, org, rights, issued_at_s, expires_at_s };
}
