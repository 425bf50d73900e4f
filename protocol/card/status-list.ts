/**
 * Revocation: one bit a card in a Token Status List (IETF OAuth WG), as a whole or as the difference to a version.
 * The whole list is the WG's CWT plus a version claim. Its `lst` is zlib data: inflating it, with a limit and only
 * after the signature has been verified, is the caller's.
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
} from './cbor.ts';
import {
  decodeKeyHeader,
  decodeSign1,
  draftSign1,
  encodeKeyHeader,
  toBeSigned,
  type Draft,
} from './cose.ts';

/** The whole list inflated: 33.5 million cards. */
export const STATUS_LIST_BYTES_MAX = 4 * 1024 * 1024;
/** A signed list or difference as it travels; 480 KiB of base64 in a command. */
export const STATUS_TOKEN_BYTES_MAX = 360 * 1024;
export const STATUS_LIST_URI = 'urn:waystation:cards:1';

const STATUS_LIST = 65533;
const TTL = 65534;
const VERSION = -65538;
const DELTA = -65541;
const SHA256_BYTES = 32;
const TYP = {
  full: 'application/statuslist+cwt',
  delta: 'application/vnd.waystation.statuslist-delta+cwt',
} as const;

export type StatusBody =
  | { kind: 'full'; /** The list, zlib (RFC 1950). */ lst: Uint8Array }
  | {
      kind: 'delta';
      /** The version it continues. */
      from: number;
      /** Which bits flip, as encodeToggles writes them. */
      toggles: Uint8Array;
      /** SHA-256 of the inflated list after the flips. */
      sha256: Uint8Array;
    };

export interface StatusToken {
  version: number;
  issued_at_s: number;
  expires_at_s: number;
  /** How long an online station may wait before it asks again. */
  ttl_s: number;
  body: StatusBody;
}

export interface SignedStatusToken {
  kid: string;
  token: StatusToken;
  signature: Uint8Array;
  toBeSigned(): Uint8Array;
}

/** Throws RangeError when a field does not fit. */
export function draftStatusToken(kid: Uint8Array, token: StatusToken): Draft<Uint8Array> {
  if (readToken(tokenMap(token)) === null)
    throw new RangeError('a field of the status list is out of range');
  return draftSign1('statusList', {
    protected_header: encodeKeyHeader({ kid, typ: TYP[token.body.kind] }),
    payload: encodeToken(token),
  });
}

/** `null` unless it has exactly the specified shape and size. Verifies no signature and no time. */
export function decodeStatusToken(bytes: Uint8Array): SignedStatusToken | null {
  if (bytes.length > STATUS_TOKEN_BYTES_MAX) return null;
  const message = decodeSign1(bytes);
  if (message === null) return null;
  const header = decodeKeyHeader(message.protected_header);
  const token = decodeExact(message.payload, readToken, encodeToken);
  if (header === null || token === null || header.typ !== TYP[token.body.kind]) return null;
  return {
    kid: hex(header.kid),
    token,
    signature: message.signature,
    toBeSigned: () => toBeSigned('statusList', message),
  };
}

function tokenMap(token: StatusToken): Map<number, unknown> {
  const { body } = token;
  return new Map<number, unknown>([
    [CLAIM.sub, STATUS_LIST_URI],
    [CLAIM.exp, token.expires_at_s],
    [CLAIM.iat, token.issued_at_s],
    [TTL, token.ttl_s],
    [VERSION, token.version],
    body.kind === 'full'
      ? [
          STATUS_LIST,
          new Map<string, unknown>([
            ['bits', 1],
            ['lst', body.lst],
          ]),
        ]
      : [DELTA, [body.from, body.toggles, body.sha256]],
  ]);
}

function encodeToken(token: StatusToken): Uint8Array {
  return encodeCbor(tokenMap(token));
}

function readToken(value: unknown): StatusToken | null {
  const common = [CLAIM.sub, CLAIM.exp, CLAIM.iat, TTL, VERSION];
  const full = mapValues(value, [...common, STATUS_LIST]);
  const [sub, expires_at_s, issued_at_s, ttl_s, version, content] =
    full ?? mapValues(value, [...common, DELTA]) ?? [];
  if (
    sub !== STATUS_LIST_URI ||
    !isUint(expires_at_s, UINT32_MAX) ||
    !isUint(issued_at_s, UINT32_MAX)
  )
    return null;
  if (!isUint(ttl_s, UINT32_MAX) || !isUint(version, UINT32_MAX)) return null;
  if (version === 0 || expires_at_s <= issued_at_s) return null;
  const body = full ? readFull(content) : readDelta(content, version);
  return body && { version, issued_at_s, expires_at_s, ttl_s, body };
}

function readFull(value: unknown): StatusBody | null {
  const [bits, lst] = mapValues(value, ['bits', 'lst']) ?? [];
  return bits === 1 && isBytes(lst) ? { kind: 'full', lst } : null;
}

function readDelta(value: unknown, version: number): StatusBody | null {
  const [from, toggles, sha256] = arrayItems(value, 3) ?? [];
  if (
    !isUint(from, version - 1) ||
    from === 0 ||
    !isBytes(toggles) ||
    !isBytes(sha256, SHA256_BYTES)
  )
    return null;
  return { kind: 'delta', from, toggles, sha256 };
}

/** Whether the card at `index` is revoked; `null` when the list does not reach it. Bit 0 is the lowest of byte 0. */
export function isRevoked(list: Uint8Array, index: number): boolean | null {
  const byte = list[Math.floor(index / 8)];
  return byte === undefined ? null : ((byte >>> (index % 8)) & 1) === 1;
}

/** A list of `size_bytes` with these cards revoked. Throws RangeError when an index lies beyond it. */
export function statusListOf(revoked: Iterable<number>, size_bytes: number): Uint8Array {
  const list = new Uint8Array(size_bytes);
  for (const index of revoked) flip(list, index, true);
  return list;
}

/** Flips the bit, or sets it. */
function flip(list: Uint8Array, index: number, only_set: boolean): void {
  const at = Math.floor(index / 8);
  const byte = list[at];
  if (byte === undefined || !Number.isInteger(index))
    throw new RangeError(`index ${index} is beyond the status list`);
  const mask = 1 << (index % 8);
  list[at] = only_set ? byte | mask : byte ^ mask;
}

/** The bits that differ between two lists of one length, as gaps in LEB128: first index, then distance minus one. */
export function encodeToggles(before: Uint8Array, after: Uint8Array): Uint8Array {
  if (before.length !== after.length)
    throw new RangeError('a status list keeps its length within a difference');
  const out: number[] = [];
  let previous = -1;
  for (let at = 0; at < after.length; at += 1) {
    const difference = (before[at] ?? 0) ^ (after[at] ?? 0);
    for (let bit = 0; bit < 8 && difference >>> bit !== 0; bit += 1) {
      if (((difference >>> bit) & 1) === 0) continue;
      pushVarint(out, at * 8 + bit - previous - 1);
      previous = at * 8 + bit;
    }
  }
  return Uint8Array.from(out);
}

function pushVarint(out: number[], value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
}

/** A new list with the bits flipped; `null` when the toggles are cut short or reach beyond the list. */
export function applyToggles(list: Uint8Array, toggles: Uint8Array): Uint8Array | null {
  const next = new Uint8Array(list);
  const size = list.length * 8;
  let index = -1;
  for (let at = 0; at < toggles.length;) {
    let gap = 0;
    let byte = 0x80;
    for (let shift = 0; byte >= 0x80; shift += 7) {
      const read = toggles[at++];
      if (read === undefined || shift > 21) return null;
      byte = read;
      gap |= (byte & 0x7f) << shift;
    }
    index += gap + 1;
    if (index >= size) return null;
    flip(next, index, false);
  }
  return next;
}
