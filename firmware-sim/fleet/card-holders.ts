/** Phones of the fleet's visitors: holders' keys and cards from a file, a fresh code for each visit. */
import { z } from 'zod';
import { draftPresentation, SEQUENCE_MAX } from '@waystation/protocol/card/presentation';
import type { EpochMs } from '@waystation/runtime/clock';
import { parseConfig } from '@waystation/runtime/config';
import { nodeSigner } from '@waystation/runtime/p256';
import { readText } from './config.ts';

/** A holder's private key (PEM) and card (base64); what else stands beside them, as in a wallet, is not read. */
const Holders = z
  .array(z.object({ private_key: z.string(), card: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/) }))
  .min(1)
  .max(1_000_000);

export interface CardHolders {
  readonly count: number;
  /** The QR text that somebody's phone shows now. */
  present(wall: EpochMs): string;
}

/** Throws Fault CONFIG_UNREADABLE, CONFIG_INVALID or CARD_KEY_INVALID. */
export function readCardHolders(file: string, random: () => number): CardHolders {
  const holders = parseConfig(Holders, readText(file), file).map(({ private_key, card }) => ({
    signer: nodeSigner(private_key),
    card: new Uint8Array(Buffer.from(card, 'base64')),
    sequence: 0,
  }));
  return {
    count: holders.length,
    present(wall) {
      const holder = holders[Math.floor(random() * holders.length)];
      if (holder === undefined) throw new RangeError('random() must be below 1');
      // At least the clock's second: so the numbers go on rising after a restart, without a file that keeps them.
      const presented_at_s = Math.floor(wall / 1000);
      holder.sequence = Math.max(holder.sequence + 1, presented_at_s % SEQUENCE_MAX) % SEQUENCE_MAX;
      const claims = {
        audience: null,
        presented_at_s,
        sequence: holder.sequence,
      };
      const draft = draftPresentation(holder.card, claims);
      return draft.finish(holder.signer.sign(draft.to_be_signed));
    },
  };
}
