import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { decode } from 'cborg';
import { describe, expect, test } from 'vitest';
import { hex, unhex } from './cbor.ts';
import { pointFromSec1, pointToSec1, thumbprintInput } from './cose-key.ts';
import {
  PURPOSES,
  decodeKeyHeader,
  decodeSign1,
  draftSign1,
  encodeKeyHeader,
  signatureInput,
} from './cose.ts';

/** The fields of a foreign, tagged COSE_Sign1 (18), which our own strict decoder must not accept. */
function fields(message: Uint8Array): {
  header: Uint8Array;
  payload: Uint8Array;
  signature: Uint8Array;
} {
  const value: unknown = decode(message, { useMaps: true, tags: { 18: (content) => content() } });
  if (!Array.isArray(value)) throw new TypeError('not a COSE_Sign1');
  const [header, , payload, signature] = value.map((item: unknown) =>
    item instanceof Uint8Array ? item : new Uint8Array(),
  );
  if (!header || !payload || !signature) throw new TypeError('not a COSE_Sign1');
  return { header, payload, signature };
}

function isGood(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

describe('RFC 8392 appendix A.3: a signed CWT', () => {
  const key = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: Buffer.from(
        '143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f',
        'hex',
      ).toString('base64url'),
      y: Buffer.from(
        '60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9',
        'hex',
      ).toString('base64url'),
    },
  });
  const message = unhex(
    'd28443a10126a104524173796d6d657472696345434453413235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572' +
      '696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b71' +
      '58405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f85951ecee743a5' +
      '2b9b63632c57209120e1c9e30',
  );

  test('its signature is over our Sig_structure', () => {
    const { header, payload, signature } = fields(message);
    const signed = signatureInput(header, new Uint8Array(), payload);
    expect(isGood(key, signed, signature)).toBe(true);
    expect(isGood(key, signatureInput(header, Uint8Array.of(0), payload), signature)).toBe(false);
  });
});

/** github.com/cose-wg/Examples, sign1-tests and ecdsa-examples: one key for all. */
const EXAMPLE_KEY = createPublicKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8',
    y: 'IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4',
  },
});
const CONTENT = '546869732069732074686520636f6e74656e742e';

describe('COSE WG examples', () => {
  test.each([
    {
      name: 'sign-pass-02, with external_aad',
      aad: '11aa22bb33cc44dd55006699',
      cbor: `d28443a10126a10442313154${CONTENT}5840eae868ecc176883766c5dc5ba5b8dca25dab3c2e56a551ce5705b793914348e155388b10c4f1b59a6733eab416870a945111a4b2fbdbef33a77234b1deff2f9b`,
      to_be_signed: `846a5369676e61747572653143a101264c11aa22bb33cc44dd5500669954${CONTENT}`,
    },
    {
      name: 'ecdsa-sig-01',
      aad: '',
      cbor: `d28445a201260300a10442313154${CONTENT}5840eae868ecc176883766c5dc5ba5b8dca25dab3c2e56a551ce5705b793914348e172727f48461fabbba2e343492ddecac3983686250bc68e9f1a7a07d41225b59f`,
      to_be_signed: `846a5369676e61747572653145a2012603004054${CONTENT}`,
    },
  ])('$name', ({ aad, cbor, to_be_signed }) => {
    const { header, payload, signature } = fields(unhex(cbor));
    const signed = signatureInput(header, unhex(aad), payload);
    expect(hex(signed)).toBe(to_be_signed);
    expect(isGood(EXAMPLE_KEY, signed, signature)).toBe(true);
  });

  test('sign-fail-02: another payload under the same signature', () => {
    const { header, signature } = fields(
      unhex(
        'd28443a10126a10442313154546869732069732074686520636f6e74656e742f5840eae868ecc176883766c5dc5ba5b8dca25dab3c2e56a551ce5705b793914348e19f43d6c6ba654472da301b645b293c9ba939295b97c4bdb847782bff384c5794',
      ),
    );
    const over = (payload: string) => signatureInput(header, new Uint8Array(), unhex(payload));
    expect(isGood(EXAMPLE_KEY, over(CONTENT), signature)).toBe(true);
    expect(isGood(EXAMPLE_KEY, over(CONTENT.replace(/2e$/, '2f')), signature)).toBe(false);
  });
});

describe('our shape', () => {
  const header = encodeKeyHeader({ kid: unhex('01020304'), typ: null });
  const message = draftSign1('card', {
    protected_header: header,
    payload: Uint8Array.of(1),
  }).finish(new Uint8Array(64));

  test('the protected header of a card is these bytes', () => {
    expect(hex(header)).toBe('a201280444' + '01020304');
    expect(hex(message)).toBe(`8449${hex(header)}a041015840${'00'.repeat(64)}`);
    expect(decodeSign1(message)).toEqual({
      protected_header: header,
      payload: Uint8Array.of(1),
      signature: new Uint8Array(64),
    });
  });

  test('the purpose is signed as external_aad and not sent', () => {
    const { to_be_signed } = draftSign1('card', {
      protected_header: header,
      payload: Uint8Array.of(1),
    });
    expect(hex(to_be_signed)).toBe(
      `846a5369676e61747572653149${hex(header)}49${Buffer.from(PURPOSES.card).toString('hex')}4101`,
    );
    expect(new Set(Object.values(PURPOSES)).size).toBe(4);
  });

  const tail = `41015840${'00'.repeat(64)}`;
  test.each([
    ['tagged', `d28449${hex(header)}a0${tail}`],
    ['a tail', `8449${hex(header)}a0${tail}00`],
    ['cut short', `8449${hex(header)}a041015840${'00'.repeat(63)}`],
    ['something unprotected', `8449${hex(header)}a10126${tail}`],
    ['an indefinite array', `9f49${hex(header)}a0${tail}ff`],
    ['an indefinite unprotected map', `8449${hex(header)}bfff${tail}`],
    ['a long length', `845809${hex(header)}a0${tail}`],
    ['a long array head', `980449${hex(header)}a0${tail}`],
    ['five items', `8549${hex(header)}a0${tail}00`],
    ['three items', `8349${hex(header)}a04101`],
    ['a text payload', `8449${hex(header)}a061015840${'00'.repeat(64)}`],
    ['no payload', `8449${hex(header)}a0f65840${'00'.repeat(64)}`],
    ['a signature of 63 bytes', `8449${hex(header)}a04101583f${'00'.repeat(63)}`],
    ['a signature of 65 bytes', `8449${hex(header)}a041015841${'00'.repeat(65)}`],
    ['nothing', ''],
    ['deep nesting', '81'.repeat(40_000)],
    ['an array of four thousand million', '9affffffff'],
  ])('%s is refused', (_, bytes) => {
    expect(decodeSign1(unhex(bytes))).toBeNull();
  });

  test.each([
    ['ES256 for ESP256', 'a20126044401020304'],
    ['no alg', 'a1044401020304'],
    ['no kid', 'a10128'],
    ['kid of 3 bytes', 'a201280443010203'],
    ['kid first', 'a204440102030401' + '28'],
    ['alg twice', 'a3012801280444' + '01020304'],
    ['one more', 'a30128044401020304' + '0500'],
    ['alg as a float', 'a201f9c880044401020304'],
    ['an empty bstr', ''],
  ])('a key header with %s is refused', (_, bytes) => {
    expect(decodeKeyHeader(unhex(bytes))).toBeNull();
  });

  test('a signature of the wrong length cannot be sent', () => {
    const draft = draftSign1('card', { protected_header: header, payload: Uint8Array.of(1) });
    expect(() => draft.finish(new Uint8Array(72))).toThrow(RangeError);
  });
});

test('SEC 1 points: both signs, and nothing else', () => {
  const x = new Uint8Array(32).fill(7);
  for (const y_odd of [false, true]) {
    expect(pointFromSec1(pointToSec1({ x, y_odd }))).toEqual({ x, y_odd });
  }
  expect(pointFromSec1(Uint8Array.from([4, ...x]))).toBeNull();
  expect(pointFromSec1(x)).toBeNull();
});

test('RFC 9679 hashes the required parameters only, in deterministic order', () => {
  expect(hex(thumbprintInput(new Uint8Array(32), new Uint8Array(32)))).toBe(
    `a40102200121${'5820' + '00'.repeat(32)}22${'5820' + '00'.repeat(32)}`,
  );
});
