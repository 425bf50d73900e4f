/**
 * What the phone shows: the card inside a message the holder's key signs anew every 10 seconds.
 * The card sits in the protected header (kcwt, RFC 9528), so the holder signs it too and it cannot be exchanged.
 */
import { decodeBase45, encodeBase45 } from './base45.ts';
import { CLAIM, decodeCard, type Card } from './card.ts';
import {
  UINT32_MAX,
  decodeExact,
  encodeCbor,
  isBytes,
  isUint,
  mapValues,
  sameBytes,
} from './cbor.ts';
import { ESP256, HEADER, decodeSign1, draftSign1, toBeSigned, type Draft } from './cose.ts';

export const PREFIX = 'WS1:';
/** Longest line a reader may deliver as a member code; a real one has about 370 characters. */
export const LINE_MAX = 640;
export const LINE_MIN = 60;
/** A new code is drawn this often. */
export const REFRESH_S = 10;
export const SEQUENCE_MAX = 0xff_ffff;
/** A station code, alone or with a door's nonce. */
const AUDIENCE = /^[0-9A-Z-]{1,16}$/;
const SEQUENCE_BYTES = 3;

export interface PresentationClaims {
  /** Only this station may accept it; `null`: every station may. */
  audience: string | null;
  presented_at_s: number;
  /** Rises with every code this card draws, 0 to 16,777,215. */
  sequence: number;
}

export interface Presentation {
  card: Card;
  claims: PresentationClaims;
  signature: Uint8Array;
  toBeSigned(): Uint8Array;
}

/** Sign the draft with the holder's key: `finish` gives the line for the QR code. Throws RangeError. */
export function draftPresentation(card: Uint8Array, claims: PresentationClaims): Draft<string> {
  if (!isUint(claims.sequence, SEQUENCE_MAX) || readClaims(claimsMap(claims)) === null) {
    throw new RangeError('a claim of the presentation is out of range');
  }
  const draft = draftSign1('presentation', {
    protected_header: encodeHeader(card),
    payload: encodeClaims(claims),
  });
  return {
    to_be_signed: draft.to_be_signed,
    finish: (signature) => PREFIX + encodeBase45(draft.finish(signature)),
  };
}

export type DecodedLine =
  | { read: 'presentation'; presentation: Presentation }
  | { read: 'notOurCode' | 'unreadable' | 'malformed' };

/** A line of the reader, prefix and all; the names of the failures are denials of protocol/access.ts. */
export function decodeLine(line: string): DecodedLine {
  if (line.length === 0) return { read: 'unreadable' };
  if (!line.startsWith(PREFIX)) return { read: 'notOurCode' };
  if (line.length < LINE_MIN || line.length > LINE_MAX) return { read: 'unreadable' };
  const bytes = decodeBase45(line.slice(PREFIX.length));
  if (bytes === null) return { read: 'unreadable' };
  const presentation = decodePresentation(bytes);
  return presentation === null ? { read: 'malformed' } : { read: 'presentation', presentation };
}

/** `null` unless it has exactly the specified shape, the card in it too. Verifies no signature and no time. */
export function decodePresentation(bytes: Uint8Array): Presentation | null {
  const message = decodeSign1(bytes);
  if (message === null) return null;
  const card = decodeHeader(message.protected_header);
  const claims = decodeExact(message.payload, readClaims, encodeClaims);
  if (card === null || claims === null) return null;
  return {
    card,
    claims,
    signature: message.signature,
    toBeSigned: () => toBeSigned('presentation', message),
  };
}

/** `{ 1: ESP256, 13: card }`: the map up to the card is always these four bytes. */
const HEADER_HEAD = Uint8Array.from([0xa2, HEADER.alg, 0x20 - 1 - ESP256, HEADER.kcwt]);

function encodeHeader(card: Uint8Array): Uint8Array {
  return Uint8Array.from([...HEADER_HEAD, ...card]);
}

function decodeHeader(bytes: Uint8Array): Card | null {
  const head = bytes.subarray(0, HEADER_HEAD.length);
  return sameBytes(head, HEADER_HEAD) ? decodeCard(bytes.subarray(HEADER_HEAD.length)) : null;
}

function claimsMap(claims: PresentationClaims): Map<number, unknown> {
  const sequence = Uint8Array.of(claims.sequence >>> 16, claims.sequence >>> 8, claims.sequence);
  const map = new Map<number, unknown>([
    [CLAIM.iat, claims.presented_at_s],
    [CLAIM.cti, sequence],
  ]);
  if (claims.audience !== null) map.set(CLAIM.aud, claims.audience);
  return map;
}

function encodeClaims(claims: PresentationClaims): Uint8Array {
  return encodeCbor(claimsMap(claims));
}

function readClaims(value: unknown): PresentationClaims | null {
  const addressed = mapValues(value, [CLAIM.iat, CLAIM.cti, CLAIM.aud]);
  const [presented_at_s, cti, audience = null] =
    addressed ?? mapValues(value, [CLAIM.iat, CLAIM.cti]) ?? [];
  if (!isUint(presented_at_s, UINT32_MAX) || !isBytes(cti, SEQUENCE_BYTES)) return null;
  if (audience !== null && !(typeof audience === 'string' && AUDIENCE.test(audience))) return null;
  const sequence = cti.reduce((value, byte) => value * 256 + byte, 0);
  return { audience, presented_at_s, sequence };
}
