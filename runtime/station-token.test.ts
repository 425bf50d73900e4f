import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { parseStationCode, stationCode } from '@waystation/protocol/station-code';
import { signStationToken, TOKEN_AHEAD_S, verifyStationToken } from './station-token.ts';

/** The key of RFC 8032, 7.1, TEST 1, in PKCS #8 (RFC 8410). */
const PRIVATE_KEY = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
});
const PUBLIC_KEY = createPublicKey(PRIVATE_KEY);
const STATION = stationCode('370102001', 'W', 1);
const NOW_S = 1_780_000_000;
const TOKEN = signStationToken(PRIVATE_KEY, {
  station: STATION,
  issued_at_s: NOW_S,
  expires_at_s: NOW_S + 60,
});

test('the signature is the one OpenSSL makes: pkeyutl -sign -rawin over the text before the last dot', () => {
  expect(TOKEN).toBe(
    'ws1.370102001W0001E.1780000000.1780000060._RntBKpvAP_uLJdMPHK6Sb-9EwB0Rs2cFUbBMyhwL8cGgbkHXVmett536hxzCO_X9nYxOo66cU9Me0NxchehAQ',
  );
});

test('a signed token is valid from its issue to its expiry', () => {
  const claims = { station: STATION, issued_at_s: NOW_S, expires_at_s: NOW_S + 60 };
  expect(verifyStationToken(PUBLIC_KEY, TOKEN, NOW_S)).toEqual({ valid: true, claims });
  expect(verifyStationToken(PUBLIC_KEY, TOKEN, NOW_S + 59)).toMatchObject({ valid: true });
  const expired = { valid: false, reason: 'expired' };
  expect(verifyStationToken(PUBLIC_KEY, TOKEN, NOW_S + 60)).toEqual(expired);
  expect(verifyStationToken(PUBLIC_KEY, TOKEN, NOW_S - TOKEN_AHEAD_S)).toMatchObject({
    valid: true,
  });
  const early = { valid: false, reason: 'notYetValid' };
  expect(verifyStationToken(PUBLIC_KEY, TOKEN, NOW_S - TOKEN_AHEAD_S - 1)).toEqual(early);
});

test('without an expiry it is valid until the key is replaced', () => {
  const token = signStationToken(PRIVATE_KEY, { station: STATION, issued_at_s: NOW_S });
  const claims = { station: STATION, issued_at_s: NOW_S };
  expect(verifyStationToken(PUBLIC_KEY, token, 999_999_999_999)).toEqual({ valid: true, claims });
  const other = generateKeyPairSync('ed25519').publicKey;
  expect(verifyStationToken(other, token, NOW_S)).toEqual({ valid: false, reason: 'signature' });
});

test.each([
  ['nothing', ''],
  ['a dot too many', `${TOKEN}.`],
  ['a new line at the end', `${TOKEN}\n`],
  ['a blank before', ` ${TOKEN}`],
  ['another version', TOKEN.replace('ws1.', 'ws2.')],
  ['a wrong check character', TOKEN.replace(STATION, `${STATION.slice(0, 14)}0`)],
  ['a leading zero', TOKEN.replace(`.${NOW_S}.`, `.0${NOW_S}.`)],
  ['base64 with padding', `${TOKEN}==`],
  ['a shorter signature', TOKEN.slice(0, -1)],
  ['spare bits set in the last character', `${TOKEN.slice(0, -1)}${next(TOKEN.slice(-1))}`],
])('%s is malformed', (_name, token) => {
  expect(verifyStationToken(PUBLIC_KEY, token, NOW_S)).toEqual({
    valid: false,
    reason: 'malformed',
  });
});

/** The next character of the base64url alphabet: the same byte, another spelling. */
function next(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet.charAt(alphabet.indexOf(character) + 1);
}

test('no change of any character is accepted', () => {
  fc.assert(
    fc.property(
      fc.nat(TOKEN.length - 1),
      fc.string({ minLength: 1, maxLength: 1 }),
      (at, character) => {
        const changed = TOKEN.slice(0, at) + character + TOKEN.slice(at + 1);
        fc.pre(changed !== TOKEN);
        expect(verifyStationToken(PUBLIC_KEY, changed, NOW_S).valid).toBe(false);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('the station is bound by the signature', () => {
  const other = stationCode('370102001', 'W', 2);
  const stolen = TOKEN.replace(STATION, other);
  expect(parseStationCode(other)).not.toBeNull();
  expect(verifyStationToken(PUBLIC_KEY, stolen, NOW_S)).toEqual({
    valid: false,
    reason: 'signature',
  });
});

test('other kinds of key are refused, and times that are no whole seconds', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
  expect(() => verifyStationToken(rsa.publicKey, TOKEN, NOW_S)).toThrow(TypeError);
  const claims = { station: STATION, issued_at_s: NOW_S };
  expect(() => signStationToken(rsa.privateKey, claims)).toThrow(TypeError);
  expect(() => signStationToken(PRIVATE_KEY, { ...claims, issued_at_s: 0.5 })).toThrow(RangeError);
});
