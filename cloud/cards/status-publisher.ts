/** Signs status lists, whole or as a difference. Pure over its inputs: which cards are revoked is decided elsewhere. */
import { hash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import {
  STATUS_TOKEN_BYTES_MAX,
  draftStatusToken,
  encodeToggles,
  type StatusBody,
} from '@waystation/protocol/card/status-list';
import { Fault } from '@waystation/runtime/fault';
import type { SigningKey } from './key-store.ts';

/**
 * Places for 4,194,304 cards, taken at random; 512 KiB in a station's memory, a few KiB on the wire while few are revoked.
 * All of it from the first day: a station must not learn from the length who is new.
 */
export const CARD_PLACES = 4_194_304;
export const STATUS_LIST_BYTES = CARD_PLACES / 8;
/** An online station asks again after this. */
const TTL_S = 15 * 60;

/** `key`: the signing key of use `statusList`. Throws Fault CARD_INVALID when the token grows too long to travel. */
export function publishStatusList(
  key: SigningKey,
  list: Uint8Array,
  version: number,
  now_s: number,
): Uint8Array {
  return publish(key, { kind: 'full', lst: deflateSync(list, { level: 9 }) }, version, now_s);
}

/** The difference from the list of version `from` to the list of `version`. */
export function publishStatusDelta(
  key: SigningKey,
  before: { version: number; list: Uint8Array },
  after: { version: number; list: Uint8Array },
  now_s: number,
): Uint8Array {
  const toggles = encodeToggles(before.list, after.list);
  const sha256 = new Uint8Array(hash('sha256', after.list, 'buffer'));
  return publish(
    key,
    { kind: 'delta', from: before.version, toggles, sha256 },
    after.version,
    now_s,
  );
}

function publish(key: SigningKey, body: StatusBody, version: number, now_s: number): Uint8Array {
  const draft = draftStatusToken(key.signer.kid, {
    version,
    issued_at_s: now_s,
    expires_at_s: now_s + key.max_life_s,
    ttl_s: TTL_S,
    body,
  });
  const token = draft.finish(key.signer.sign(draft.to_be_signed));
  if (token.length <= STATUS_TOKEN_BYTES_MAX) return token;
  throw new Fault('CARD_INVALID', {
    problem: 'the status list is too long to travel',
    bytes: token.length,
  });
}
