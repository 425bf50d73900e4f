/** ECDSA on P-256 with SHA-256 over node:crypto, synchronous: the signatures of cards, presentations, keys and lists. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { KEY_ID_BYTES } from '@waystation/protocol/card/cose';
import { pointToSec1, thumbprintInput, type P256Point } from '@waystation/protocol/card/cose-key';
import { Fault } from './fault.ts';

/** SubjectPublicKeyInfo (RFC 5480) of a compressed P-256 point, up to the point. */
const SPKI_HEAD = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');

/** One holder or issuer of a private key. */
export interface P256Signer {
  point: P256Point;
  /** First 4 bytes of the RFC 9679 thumbprint (SHA-256). */
  kid: Uint8Array;
  /** r‖s, 64 bytes. */
  sign(to_be_signed: Uint8Array): Uint8Array;
}

/** Throws Fault CARD_KEY_INVALID unless the PEM holds a P-256 private key. */
export function nodeSigner(private_key_pem: string): P256Signer {
  let key: KeyObject;
  try {
    key = createPrivateKey(private_key_pem);
  } catch (cause) {
    throw new Fault('CARD_KEY_INVALID', { problem: 'not a private key in PEM' }, cause);
  }
  const { point, kid } = describePublicKey(createPublicKey(key));
  return {
    point,
    kid,
    sign: (to_be_signed) => sign('sha256', to_be_signed, { key, dsaEncoding: 'ieee-p1363' }),
  };
}

export function generatePrivateKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Point and key id. Throws Fault CARD_KEY_INVALID when it is not on P-256. */
export function describePublicKey(key: KeyObject): { point: P256Point; kid: Uint8Array } {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Fault('CARD_KEY_INVALID', { problem: 'not a P-256 key' });
  }
  const jwk = key.export({ format: 'jwk' });
  const x = Buffer.from(jwk.x ?? '', 'base64url');
  const y = Buffer.from(jwk.y ?? '', 'base64url');
  const point = { x: new Uint8Array(x), y_odd: ((y.at(-1) ?? 0) & 1) === 1 };
  const thumbprint = hash('sha256', thumbprintInput(x, y), 'buffer');
  return { point, kid: new Uint8Array(thumbprint.subarray(0, KEY_ID_BYTES)) };
}

/** `null` when x is not the abscissa of a point on the curve. */
export function publicKeyOf(point: P256Point): KeyObject | null {
  const spki = Buffer.concat([SPKI_HEAD, pointToSec1(point)]);
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    // OpenSSL refuses points off the curve: to the caller that is an answer, not an error.
    return null;
  }
}

/** Whether `signature` (r‖s) is good; false for any malformed one. */
export function verifyP256(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
