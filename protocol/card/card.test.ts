import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCard, draftCard, type CardClaims } from './card.ts';
import { hex, unhex } from './cbor.ts';
import { draftSign1, encodeKeyHeader } from './cose.ts';
import {
  LINE_MAX,
  decodeLine,
  draftPresentation,
  type PresentationClaims,
} from './presentation.ts';

const KID = unhex('01020304');
const SIGNATURE = new Uint8Array(64).fill(0xaa);
const CLAIMS: CardClaims = {
  holder: { x: new Uint8Array(32).fill(0x11), y_odd: true },
  index: 1_735_591,
  org: 370_102,
  rights: 0b101,
  issued_at_s: 1_790_000_000,
  expires_at_s: 1_793_024_000,
};
/** The bytes of docs/card-format.md, written down by hand from the CDDL. */
const CLAIMS_HEX = `a4041a6adf6000061a6ab13b80 08a101a4010220012158 20${'11'.repeat(32)}22f5 3a00010000831a001a7ba71a0005a5b605`;

const card = (claims = CLAIMS) => draftCard(KID, claims).finish(SIGNATURE);
const line = (claims: PresentationClaims, bytes = card()) =>
  draftPresentation(bytes, claims).finish(SIGNATURE);

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyClaims: fc.Arbitrary<CardClaims> = fc
  .record({
    holder: fc.record({ x: fc.uint8Array({ minLength: 32, maxLength: 32 }), y_odd: fc.boolean() }),
    index: uint32,
    org: uint32,
    rights: fc.integer({ min: 0, max: 0xffff }),
    issued_at_s: fc.integer({ min: 0, max: 0xffff_fffe }),
    life_s: fc.integer({ min: 1, max: 0xffff_ffff }),
  })
  .map(({ life_s, ...claims }) => ({
    ...claims,
    expires_at_s: Math.min(claims.issued_at_s + life_s, 0xffff_ffff),
  }));

describe('card', () => {
  test('is these bytes', () => {
    const payload = CLAIMS_HEX.replaceAll(' ', '');
    expect(payload.length / 2).toBe(75);
    expect(hex(card())).toBe(`8449a20128044401020304a0584b${payload}5840${'aa'.repeat(64)}`);
    expect(card()).toHaveLength(155);
  });

  test('comes back with the claims it was given', () => {
    fc.assert(
      fc.property(anyClaims, (claims) => {
        const decoded = decodeCard(card(claims));
        expect(decoded?.claims).toEqual(claims);
        expect(decoded?.kid).toBe('01020304');
        expect(decoded?.toBeSigned()).toEqual(draftCard(KID, claims).to_be_signed);
      }),
    );
  });

  test.each<[string, Partial<CardClaims>]>([
    ['a negative index', { index: -1 }],
    ['an index of 33 bits', { index: 2 ** 32 }],
    ['a broken index', { index: 1.5 }],
    ['rights of 17 bits', { rights: 0x1_0000 }],
    ['an end before the issue', { expires_at_s: CLAIMS.issued_at_s }],
    ['a short key', { holder: { x: new Uint8Array(31), y_odd: false } }],
  ])('with %s cannot be made', (_, wrong) => {
    expect(() => card({ ...CLAIMS, ...wrong })).toThrow(RangeError);
  });

  const good = CLAIMS_HEX.replaceAll(' ', '');
  test.each([
    ['good, as the control', good, true],
    ['an unknown claim', good.replace(/^a4/, 'a5').concat('3a0001000100'), false],
    ['no rights', good.replace(/83(1a.{8})(1a.{8})05$/, '82$1$2'), false],
    ['the end as a float', good.replace('041a6adf6000', '04fb41dab7d800000000'), false],
    ['the end in 8 bytes', good.replace('041a6adf6000', '041b000000006adf6000'), false],
    ['the claims in another order', `a4061a6ab13b80041a6adf6000${good.slice(26)}`, false],
    ['rights in two bytes', good.replace(/05$/, '1805'), false],
    ['y in full', good.replace('22f5', `225820${'11'.repeat(32)}`), false],
    ['y as a number', good.replace('22f5', '2201'), false],
    ['another curve', good.replace('2001', '2002'), false],
    ['a tagged time', good.replace('041a6adf6000', '04c11a6adf6000'), false],
    ['a null key', good.replace(/a4010220012158.*22f5/, 'f6'), false],
  ])('%s', (_, payload, accepted) => {
    const bytes = draftSign1('card', {
      protected_header: encodeKeyHeader({ kid: KID, typ: null }),
      payload: unhex(payload),
    }).finish(SIGNATURE);
    expect(decodeCard(bytes) !== null).toBe(accepted);
  });
});

describe('presentation', () => {
  test('comes back with the claims it was given, within the reader’s limit', () => {
    const claims = fc.record({
      audience: fc.option(fc.stringMatching(/^[0-9A-Z-]{1,16}$/)),
      presented_at_s: uint32,
      sequence: fc.integer({ min: 0, max: 0xff_ffff }),
    });
    fc.assert(
      fc.property(claims, anyClaims, (claims, card_claims) => {
        const text = line(claims, card(card_claims));
        expect(text.length).toBeLessThan(400);
        const decoded = decodeLine(text);
        if (decoded.read !== 'presentation') throw new Error(decoded.read);
        expect(decoded.presentation.claims).toEqual(claims);
        expect(decoded.presentation.card.claims).toEqual(card_claims);
        expect(decoded.presentation.signature).toEqual(SIGNATURE);
      }),
    );
  });

  const CLAIMS_NOW = { audience: null, presented_at_s: CLAIMS.issued_at_s, sequence: 0x123 };

  test('signs the card with itself', () => {
    const { to_be_signed } = draftPresentation(card(), CLAIMS_NOW);
    expect(hex(to_be_signed)).toBe(
      `846a5369676e617475726531589fa201280d${hex(card())}4977732d707265732f314ca2061a6ab13b800743000123`,
    );
  });

  test.each([
    ['a sequence of 25 bits', { ...CLAIMS_NOW, sequence: 0x100_0000 }],
    ['a negative sequence', { ...CLAIMS_NOW, sequence: -1 }],
    ['a long audience', { ...CLAIMS_NOW, audience: '370102001W0001X-1' }],
    ['an audience in small letters', { ...CLAIMS_NOW, audience: 'abc' }],
  ])('with %s cannot be made', (_, claims) => {
    expect(() => line(claims)).toThrow(RangeError);
  });

  const good = line(CLAIMS_NOW);
  test.each([
    ['good, as the control', good, 'presentation'],
    ['nothing', '', 'unreadable'],
    ['another code', '6901234567892', 'notOurCode'],
    ['small letters', good.toLowerCase(), 'notOurCode'],
    ['a health code', good.replace('WS1:', 'HC1:'), 'notOurCode'],
    ['a space before', ` ${good}`, 'notOurCode'],
    ['the prefix alone', 'WS1:', 'unreadable'],
    ['too long', good + '0'.repeat(LINE_MAX), 'unreadable'],
    ['two lines joined', good + good, 'unreadable'],
    ['a carriage return kept', `${good}\r`, 'unreadable'],
    ['a character outside base45', good.replace(/.$/, '_'), 'unreadable'],
    ['cut short', good.slice(0, 301), 'malformed'],
    ['a bare card', `WS1:${'0'.repeat(120)}`, 'malformed'],
  ])('%s', (_, text, read) => {
    expect(decodeLine(text).read).toBe(read);
  });
});
