/** Issues a member's card over the holder's public key. Pure over its inputs: who may have a card is decided elsewhere. */
import { CARD_LIFE_S, draftCard } from '@waystation/protocol/card/card';
import type { P256Point } from '@waystation/protocol/card/cose-key';
import { Fault } from '@waystation/runtime/fault';
import { publicKeyOf } from '@waystation/runtime/p256';
import type { SigningKey } from './key-store.ts';

export interface CardOrder {
  holder: P256Point;
  /** Place in the status list; random, and new for every new holder key. */
  index: number;
  org: number;
  /** Bits of protocol/access.ts RIGHTS. */
  rights: number;
  /** At most the key's `max_life_s`. */
  life_s?: number;
}

export interface IssuedCard {
  card: Uint8Array;
  issued_at_s: number;
  expires_at_s: number;
}

/** `key`: the signing key of use `card`. Throws Fault CARD_INVALID when the order cannot make a card. */
export function issueCard(key: SigningKey, order: CardOrder, now_s: number): IssuedCard {
  const { holder, index, org, rights, life_s = CARD_LIFE_S } = order;
  if (publicKeyOf(holder) === null)
    throw new Fault('CARD_INVALID', { problem: 'the holder key is no point of P-256' });
  if (life_s > key.max_life_s)
    throw new Fault('CARD_INVALID', { problem: 'the life is longer than the key allows', life_s });
  const times = { issued_at_s: now_s, expires_at_s: now_s + life_s };
  try {
    const draft = draftCard(key.signer.kid, { holder, index, org, rights, ...times });
    return { card: draft.finish(key.signer.sign(draft.to_be_signed)), ...times };
  } catch (cause) {
    throw new Fault(
      'CARD_INVALID',
      { problem: 'a field is out of range', index, org, rights },
      cause,
    );
  }
}
