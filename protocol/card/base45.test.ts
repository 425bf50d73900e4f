import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BASE45_ALPHABET, decodeBase45, encodeBase45 } from './base45.ts';

const text = new TextEncoder();

// RFC 9285 §4.3 (encoding) and §4.4 (decoding).
test.each([
  ['AB', 'BB8'],
  ['Hello!!', '%69 VD92EX0'],
  ['base-45', 'UJCLQE7W581'],
  ['ietf!', 'QED8WEX0'],
])('RFC 9285: %s is %s', (plain, encoded) => {
  expect(encodeBase45(text.encode(plain))).toBe(encoded);
  expect(decodeBase45(encoded)).toEqual(text.encode(plain));
});

test('RFC 9285 §6: FGW is 65535, GGW is 65536 and MUST be rejected', () => {
  expect(decodeBase45('FGW')).toEqual(Uint8Array.of(0xff, 0xff));
  expect(decodeBase45('GGW')).toBeNull();
  expect(decodeBase45(':::')).toBeNull();
});

test('a pair above 255 and a lone last character are rejected', () => {
  expect(decodeBase45('U5')).toEqual(Uint8Array.of(255));
  expect(decodeBase45('V5')).toBeNull();
  expect(decodeBase45('::')).toBeNull();
  expect(decodeBase45('A')).toBeNull();
  expect(decodeBase45('BB8A')).toBeNull();
});

test('every character outside the alphabet is rejected at every place', () => {
  for (let code = 0; code < 0x180; code += 1) {
    const character = String.fromCharCode(code);
    for (const group of [
      `${character}00`,
      `0${character}0`,
      `00${character}`,
      `${character}0`,
      `0${character}`,
    ]) {
      expect(
        decodeBase45(group) === null,
        `U+${code.toString(16)} in ${JSON.stringify(group)}`,
      ).toBe(!BASE45_ALPHABET.includes(character) || expectedTooLarge(group));
    }
  }
});

/** The arithmetic of RFC 9285, spelt out anew. */
function expectedTooLarge(group: string): boolean {
  const [c = 0, d = 0, e] = Array.from(group, (character) => BASE45_ALPHABET.indexOf(character));
  return e === undefined ? c + d * 45 > 255 : c + d * 45 + e * 45 * 45 > 65_535;
}

test('every bytes come back, and no other text gives them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const encoded = encodeBase45(bytes);
      expect(decodeBase45(encoded)).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...Array.from(BASE45_ALPHABET)), maxLength: 60 }),
      (encoded) => {
        const bytes = decodeBase45(encoded);
        if (bytes !== null) expect(encodeBase45(bytes)).toBe(encoded);
      },
    ),
  );
});
