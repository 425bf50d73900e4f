import { scryptSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { hashPassword, NOBODYS_HASH, verifyPassword } from './password.ts';

it('knows its own password again, and no other', async () => {
  const stored = await hashPassword('古槐街道的钥匙');
  expect(await verifyPassword('古槐街道的钥匙', stored)).toBe(true);
  expect(await verifyPassword('古槐街道的锁', stored)).toBe(false);
  expect(await hashPassword('古槐街道的钥匙')).not.toBe(stored);
});

it('takes the vector of RFC 7914, 12 (N = 16384, r = 8, p = 1)', async () => {
  const salt = Buffer.from('SodiumChloride');
  const key = scryptSync('pleaseletmein', salt, 32, { N: 16384, r: 8, p: 1 });
  expect(key.toString('hex')).toBe(
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2',
  );
  const stored = `scrypt$14$${salt.toString('base64')}$${key.toString('base64')}`;
  expect(await verifyPassword('pleaseletmein', stored)).toBe(true);
});

it('opens to nobody for a stranger or a damaged hash', async () => {
  expect(await verifyPassword('', NOBODYS_HASH)).toBe(false);
  for (const damaged of ['', 'scrypt$15$AA==', 'plain$15$AA==$AA==', 'scrypt$99$AA==$AA==']) {
    expect(await verifyPassword('x', damaged)).toBe(false);
  }
});
