/** Members with phones: codes as they draw them, cards renewed weekly by those that have a network, and what the rules say of each. */
import { CARD_LIFE_S } from '@waystation/protocol/card/card';
import { DAY_S, present, type Member, type World } from '../card/world.ts';

const HOLDERS = 40;
const RENEW_AFTER_S = 7 * DAY_S;
/** Hall and mom's room. */
const RIGHTS = 0b101;

export interface Scan {
  line: string;
  /** By the card alone: the station's clock and the room have their own word. */
  expected: 'granted' | 'cardExpired' | 'notOurCode';
}

interface Phone {
  member: Member;
  issued_at_s: number;
  sequence: number;
  /** Nobody home: its card is never renewed. */
  offline: boolean;
}

export interface Holders {
  /** What the next one at the door shows. */
  next(true_s: number): Scan;
  /** One valid presentation, for an orderly question. */
  valid(true_s: number): string;
}

export function createHolders(cards: World, random: () => number, from_s: number): Holders {
  const phones = Array.from({ length: HOLDERS }, (_, index): Phone => {
    const issued_at_s = from_s - Math.floor(random() * RENEW_AFTER_S);
    const member = cards.member({ index, issued_at_s: from_s, rights: RIGHTS });
    return { member, issued_at_s, sequence: 0, offline: index === 0 };
  });
  phones[0]!.issued_at_s = from_s;
  const draw = (phone: Phone, true_s: number): string => {
    if (!phone.offline && true_s - phone.issued_at_s > RENEW_AFTER_S) {
      const { index } = phone.member;
      phone.member = cards.member({ index, issued_at_s: true_s, rights: RIGHTS });
      phone.issued_at_s = true_s;
    }
    phone.sequence += 1;
    const shown_s = true_s - Math.floor(random() * 10); // a code is drawn every ten seconds
    return present(phone.member, phone.sequence, shown_s);
  };
  const pick = (): Phone => phones[Math.floor(random() * HOLDERS)]!;
  return {
    next(true_s) {
      if (random() < 0.01) return { line: 'https://example.org/menu', expected: 'notOurCode' };
      const phone = pick();
      const expired = phone.offline && true_s - phone.issued_at_s >= CARD_LIFE_S;
      return { line: draw(phone, true_s), expected: expired ? 'cardExpired' : 'granted' };
    },
    valid: (true_s) => draw(phones[1]!, true_s),
  };
}
