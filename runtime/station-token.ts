/**
 * A station's password: `ws1.STATION.ISSUED.EXPIRES.SIGNATURE`, signed with Ed25519 (RFC 8032).
 * It is checked with the public key alone, so a gateway needs no look-up and holds nothing worth stealing.
 */
import { sign, verify, type KeyObject } from 'node:crypto';
import { parseStationCode, type StationCode } from '@waystation/protocol/station-code';

export interface StationTokenClaims {
  station: StationCode;
  issued_at_s: number;
  /** Absent: valid until the signing key is replaced. */
  expires_at_s?: number;
}

export type StationTokenVerdict =
  | { valid: true; claims: StationTokenClaims }
  | { valid: false; reason: 'malformed' | 'signature' | 'expired' | 'notYetValid' };

/** How far the issuer's clock may run ahead of the verifier's. */
export const TOKEN_AHEAD_S = 300;

/** Decimal without leading zeros, at most 12 digits; `0` as expiry means never. The signature is 64 bytes, base64url. */
const SHAPE =
  /^(ws1\.([0-9A-Z]{15})\.(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11}))\.([A-Za-z0-9_-]{86})$/;

function assertEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError(`station tokens need an Ed25519 key, not ${key.asymmetricKeyType}`);
  }
}

/** `private_key`: Ed25519. Times are whole seconds since 1970. */
export function signStationToken(private_key: KeyObject, claims: StationTokenClaims): string {
  assertEd25519(private_key);
  const { station, issued_at_s, expires_at_s = 0 } = claims;
  const body = `ws1.${station}.${issued_at_s}.${expires_at_s}`;
  const token = `${body}.${sign(null, Buffer.from(body), private_key).toString('base64url')}`;
  if (!SHAPE.test(token)) throw new RangeError('station token: times must be whole seconds');
  return token;
}

/**
 * Strict: one spelling of a token is accepted, every other byte sequence is `malformed`.
 * There is no secret to compare here: the verifier knows public values only, so timing tells nothing.
 */
export function verifyStationToken(
  public_key: KeyObject,
  token: string,
  now_s: number,
): StationTokenVerdict {
  assertEd25519(public_key);
  const [, body, code, issued, expires, signature_text] = SHAPE.exec(token) ?? [];
  const station = parseStationCode(code ?? '');
  if (body === undefined || station === null || signature_text === undefined) {
    return { valid: false, reason: 'malformed' };
  }
  const signature = Buffer.from(signature_text, 'base64url');
  if (signature.toString('base64url') !== signature_text) {
    return { valid: false, reason: 'malformed' };
  }
  if (!verify(null, Buffer.from(body), public_key, signature)) {
    return { valid: false, reason: 'signature' };
  }
  const issued_at_s = Number(issued);
  const expires_at_s = Number(expires);
  if (issued_at_s > now_s + TOKEN_AHEAD_S) return { valid: false, reason: 'notYetValid' };
  if (expires_at_s !== 0 && now_s >= expires_at_s) return { valid: false, reason: 'expired' };
  const claims = { station, issued_at_s };
  return { valid: true, claims: expires_at_s === 0 ? claims : { ...claims, expires_at_s } };
}
