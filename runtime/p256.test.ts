import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  describePublicKey,
  generatePrivateKeyPem,
  nodeSigner,
  publicKeyOf,
  verifyP256,
} from './p256.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

/** RFC 6979 A.2.5: the key, and its (r, s) over "sample" with SHA-256. */
const KEY = {
  x: hex('60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6'),
  y_odd: true, // y = 7903fe10…9977bc5bc17d2c58299
};
const SAMPLE = Buffer.from('sample');
const R = 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716';
const S = 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8';

test('RFC 6979 A.2.5: a compressed point imports, and the signature of the standard is good', () => {
  const key = publicKeyOf(KEY);
  if (key === null) throw new TypeError('the point of the standard was refused');
  expect(verifyP256(key, SAMPLE, hex(R + S))).toBe(true);
  expect(verifyP256(key, Buffer.from('sampl'), hex(R + S))).toBe(false);
  expect(verifyP256(key, SAMPLE, hex(S + R))).toBe(false);
  const other = publicKeyOf({ ...KEY, y_odd: false });
  expect(other !== null && verifyP256(other, SAMPLE, hex(R + S))).toBe(false);
});

test('signatures of any other length than 64 are bad, not an error', () => {
  const key = publicKeyOf(KEY);
  for (const length of [0, 1, 63, 65, 72, 128]) {
    expect(
      key !== null && verifyP256(key, SAMPLE, new Uint8Array(length).fill(1)),
      `${length}`,
    ).toBe(false);
  }
});

test('a point off the curve is no key', () => {
  const off = [0, 1, 2, 3, 4, 5, 6, 7].map((last) =>
    publicKeyOf({ x: hex(last.toString(16).padStart(64, '0')), y_odd: false }),
  );
  expect(off.some((key) => key === null)).toBe(true);
  expect(off.some((key) => key !== null)).toBe(true);
  expect(publicKeyOf({ x: new Uint8Array(32).fill(0xff), y_odd: false })).toBeNull();
  expect(publicKeyOf({ x: new Uint8Array(31), y_odd: false })).toBeNull();
});

test('what a signer signs, its described key verifies', () => {
  for (let times = 0; times < 20; times += 1) {
    const signer = nodeSigner(generatePrivateKeyPem());
    const key = publicKeyOf(signer.point);
    if (key === null) throw new TypeError('own point refused');
    const signature = signer.sign(SAMPLE);
    expect(signature).toHaveLength(64);
    expect(verifyP256(key, SAMPLE, signature)).toBe(true);
    expect(describePublicKey(key)).toEqual({ point: signer.point, kid: signer.kid });
  }
});

test('other keys are named as such', () => {
  const pem = (curve: string) =>
    generateKeyPairSync('ec', { namedCurve: curve })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
  expect(() => nodeSigner(pem('P-384'))).toThrow(/CARD_KEY_INVALID.*P-256/);
  expect(() => nodeSigner('-----BEGIN NOTHING-----')).toThrow(/CARD_KEY_INVALID.*PEM/);
  const ed25519 = generateKeyPairSync('ed25519').publicKey;
  expect(() =>
    describePublicKey(createPublicKey(ed25519.export({ type: 'spki', format: 'pem' }))),
  ).toThrow(/CARD_KEY_INVALID/);
});
