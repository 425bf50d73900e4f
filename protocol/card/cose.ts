/**
 * COSE_Sign1 (RFC 9052 §4.2) in the one shape we use: untagged, everything in the protected header,
 * an empty unprotected header, ESP256 (RFC 9864: ECDSA on P-256 with SHA-256, raw r‖s).
 * Signing and verifying are the caller's: node:crypto is synchronous, WebCrypto is not, both fit.
 */
import { arrayItems, decodeExact, encodeCbor, isBytes, mapValues } from './cbor.ts';

/** IANA COSE algorithm ESP256. Bound to every key here; no message may choose another. */
export const ESP256 = -9;
export const SIGNATURE_BYTES = 64;
export const KEY_ID_BYTES = 4;

/** COSE header parameters: IANA "COSE Header Parameters"; typ is RFC 9596, kcwt is RFC 9528. */
export const HEADER = { alg: 1, kid: 4, kcwt: 13, typ: 16 } as const;

/** What a signature is for, signed as external_aad and never sent: no signature can be taken for another kind. */
export const PURPOSES = {
  card: 'ws-card/1',
  presentation: 'ws-pres/1',
  keySet: 'ws-keyset/1',
  statusList: 'ws-status/1',
} as const;
export type Purpose = keyof typeof PURPOSES;

const text = new TextEncoder();
const AAD = {
  card: text.encode(PURPOSES.card),
  presentation: text.encode(PURPOSES.presentation),
  keySet: text.encode(PURPOSES.keySet),
  statusList: text.encode(PURPOSES.statusList),
} as const satisfies Record<Purpose, Uint8Array>;

export interface Sign1 {
  /** The protected header as its encoded map. */
  protected_header: Uint8Array;
  payload: Uint8Array;
  /** r‖s, 64 bytes. */
  signature: Uint8Array;
}

/** A message that lacks only its signature: sign `to_be_signed`, give the 64 bytes to `finish`. */
export interface Draft<T> {
  to_be_signed: Uint8Array;
  finish(signature: Uint8Array): T;
}

/** ECDSA P-256 with SHA-256 over the given bytes, as r‖s. */
export type Signer = (to_be_signed: Uint8Array) => Uint8Array | Promise<Uint8Array>;

export async function signDraft<T>(draft: Draft<T>, signer: Signer): Promise<T> {
  return draft.finish(await signer(draft.to_be_signed));
}

/** Sig_structure of RFC 9052 §4.4, for any external_aad. */
export function signatureInput(
  protected_header: Uint8Array,
  external_aad: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  return encodeCbor(['Signature1', protected_header, external_aad, payload]);
}

export function toBeSigned(purpose: Purpose, message: Omit<Sign1, 'signature'>): Uint8Array {
  return signatureInput(message.protected_header, AAD[purpose], message.payload);
}

export function draftSign1(purpose: Purpose, message: Omit<Sign1, 'signature'>): Draft<Uint8Array> {
  return {
    to_be_signed: toBeSigned(purpose, message),
    finish: (signature) => encodeSign1({ ...message, signature }),
  };
}

function encodeSign1(message: Sign1): Uint8Array {
  if (message.signature.length !== SIGNATURE_BYTES) {
    throw new RangeError(
      `a signature has ${SIGNATURE_BYTES} bytes, not ${message.signature.length}`,
    );
  }
  return encodeCbor([message.protected_header, new Map(), message.payload, message.signature]);
}

/** `null` unless it is exactly `[bstr, {}, bstr, bstr .size 64]` in deterministic CBOR. Verifies nothing. */
export function decodeSign1(bytes: Uint8Array): Sign1 | null {
  return decodeExact(bytes, readSign1, encodeSign1);
}

function readSign1(value: unknown): Sign1 | null {
  const items = arrayItems(value, 4);
  if (items === null) return null;
  const [protected_header, unprotected, payload, signature] = items;
  if (mapValues(unprotected, []) === null) return null;
  if (!isBytes(protected_header) || !isBytes(payload) || !isBytes(signature, SIGNATURE_BYTES))
    return null;
  return { protected_header, payload, signature };
}

export interface KeyHeader {
  /** First 4 bytes of the key's RFC 9679 thumbprint. */
  kid: Uint8Array;
  /** Media type of the payload, where one key signs more than one kind. */
  typ: string | null;
}

/** `{ 1: ESP256, 4: kid, ? 16: typ }` */
export function encodeKeyHeader(header: KeyHeader): Uint8Array {
  const entries: [number, unknown][] = [
    [HEADER.alg, ESP256],
    [HEADER.kid, header.kid],
  ];
  if (header.typ !== null) entries.push([HEADER.typ, header.typ]);
  return encodeCbor(new Map(entries));
}

export function decodeKeyHeader(bytes: Uint8Array): KeyHeader | null {
  return decodeExact(bytes, readKeyHeader, encodeKeyHeader);
}

function readKeyHeader(value: unknown): KeyHeader | null {
  const typed = mapValues(value, [HEADER.alg, HEADER.kid, HEADER.typ]);
  const [alg, kid, typ = null] = typed ?? mapValues(value, [HEADER.alg, HEADER.kid]) ?? [];
  if (alg !== ESP256 || !isBytes(kid, KEY_ID_BYTES)) return null;
  return typ === null || typeof typ === 'string' ? { kid, typ } : null;
}
