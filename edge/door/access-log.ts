/** Writes decisions down before they take effect: what is told, what is left out, and what is only counted. */
import type { AccessMethod } from '@waystation/protocol/access';
import type { Clock, MonoMs } from '@waystation/runtime/clock';
import type { EventJournal } from '../event-journal.ts';
import type { CardVerdict, CardVerifier } from '../ports.ts';
import type { Stamp } from '../time/stamp.ts';
import { type AccessDecision, type Attempts, NO_ATTEMPTS } from './access.ts';

/** `at`: when the request was complete, its last byte read. */
export interface Asked {
  method: AccessMethod;
  at: MonoMs;
  card?: Extract<CardVerdict, { verdict: 'valid' }>;
  command?: string;
}

export interface AccessLogOptions {
  journal: EventJournal;
  verifier: CardVerifier;
  clock: Clock;
  stamp: () => Stamp;
  /** A mom's room keeps no word about who. */
  names_cards: boolean;
}

export interface AccessLog {
  /** Resolves when the decision, and with it the use of the card, is durable. Rejects with Fault OUTBOX_FULL. */
  write(decision: AccessDecision, asked: Asked, attempts: Attempts): Promise<void>;
}

export function createAccessLog(options: AccessLogOptions): AccessLog {
  const { journal, verifier, clock, stamp, names_cards } = options;
  let told_pause = NO_ATTEMPTS.paused_until;

  /** One record tells of a pause; what is tried during it is only counted, so that nobody can fill the flash. */
  const isWorthTelling = (decision: AccessDecision, attempts: Attempts) => {
    if (decision.outcome === 'granted' || decision.denial !== 'rateLimited') return true;
    if (told_pause === attempts.paused_until) return false;
    told_pause = attempts.paused_until;
    return true;
  };
  return {
    async write(decision, { method, at, card, command }, attempts) {
      if (!isWorthTelling(decision, attempts)) return;
      const granted = decision.outcome === 'granted';
      if (granted && card !== undefined) verifier.accept(card.card, card.sequence, clock.wall());
      await journal.append({
        kind: 'access',
        ...stamp(),
        outcome: decision.outcome,
        ...(decision.outcome === 'denied' && { denial: decision.denial }),
        method,
        // A refused card is nobody's visit.
        ...(granted &&
          card !== undefined &&
          names_cards && { card: card.card, org: card.org, card_issued_at_s: card.issued_at_s }),
        ...(command !== undefined && { command }),
        decision_us: Math.max(0, Math.round((clock.mono() - at) * 1000)),
      });
    },
  };
}
