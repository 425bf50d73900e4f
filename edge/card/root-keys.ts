/** The pinned roots: the only keys a station believes without proof, as a JSON Web Key Set (RFC 7517) in its image. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hex } from '@waystation/protocol/card/cbor';
import { parseConfig } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import { describePublicKey } from '@waystation/runtime/p256';
import { z } from 'zod';

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const RootKeys = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        kty: z.literal('EC'),
        crv: z.literal('P-256'),
        x: coordinate,
        y: coordinate,
        kid: z.string().regex(/^[0-9a-f]{8}$/),
      }),
    )
    .min(1)
    .max(4),
});

/** By kid, 8 hex digits. */
export type RootKeyRing = ReadonlyMap<string, KeyObject>;

/** Throws Fault CONFIG_UNREADABLE, CONFIG_INVALID or CARD_KEY_INVALID. */
export function readRootKeys(path: string): RootKeyRing {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path }, cause);
  }
  return parseRootKeys(text, path);
}

export function parseRootKeys(text: string, source: string): RootKeyRing {
  const ring = new Map<string, KeyObject>();
  for (const jwk of parseConfig(RootKeys, text, source).keys) {
    const key = importJwk(jwk, source);
    if (hex(describePublicKey(key).kid) !== jwk.kid) {
      throw new Fault('CARD_KEY_INVALID', {
        source,
        kid: jwk.kid,
        problem: 'kid is not the thumbprint of the key',
      });
    }
    ring.set(jwk.kid, key);
  }
  return ring;
}

function importJwk(
  jwk: { kty: string; crv: string; x: string; y: string },
  source: string,
): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw new Fault(
      'CARD_KEY_INVALID',
      { source, problem: 'x and y are not a point of P-256' },
      cause,
    );
  }
}
