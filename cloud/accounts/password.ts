/** Passwords as scrypt hashes (RFC 7914), each with its own salt and its own cost, so that the cost can rise later. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** N = 2^15, r = 8, p = 1: 32 MB and about 100 ms on a small server. */
const COST_LOG2 = 15;
const BLOCK_SIZE = 8;
const KEY_BYTES = 32;
export const PASSWORD_LENGTH_MIN = 10;
export const PASSWORD_LENGTH_MAX = 200;

function derive(password: string, salt: Buffer, cost_log2: number): Promise<Buffer> {
  const N = 2 ** cost_log2;
  return new Promise((resolve, reject) => {
    scrypt(
      password.normalize('NFKC'),
      salt,
      KEY_BYTES,
      { N, r: BLOCK_SIZE, p: 1, maxmem: 256 * N * BLOCK_SIZE },
      (error, key) => (error ? reject(error) : resolve(key)),
    );
  });
}

/** `scrypt$15$<salt>$<hash>`, both base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, COST_LOG2);
  return ['scrypt', COST_LOG2, salt.toString('base64'), key.toString('base64')].join('$');
}

/** A hash that no password has: a stranger's name costs as much time as a wrong password. */
export const NOBODYS_HASH = `scrypt$${COST_LOG2}$${'A'.repeat(22)}==$${'A'.repeat(43)}=`;

export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [scheme, cost, salt, hash] = stored.split('$');
  if (scheme !== 'scrypt' || cost === undefined || salt === undefined || hash === undefined) {
    return false;
  }
  const cost_log2 = Number(cost);
  if (!Number.isInteger(cost_log2) || cost_log2 < 10 || cost_log2 > 20) return false;
  const expected = Buffer.from(hash, 'base64');
  const key = await derive(password, Buffer.from(salt, 'base64'), cost_log2);
  return expected.length === key.length && timingSafeEqual(expected, key);
}
