/** Accounts and their cookie sessions in the database. A session's secret is known to the browser alone. */
import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { EpochMs } from '@waystation/runtime/clock';
import type { Schema } from '../database/schema.ts';
import { NOBODYS_HASH, verifyPassword } from './password.ts';
import type { Actor } from './scope.ts';

export const SESSION_LIFE_MS = 12 * 3_600_000;
/** A new one beyond this ends the oldest. */
const SESSIONS_PER_ACCOUNT_MAX = 20;

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The account whose session this is, or `null`: unknown, ended, or the account is disabled. */
export async function findSession(
  db: Kysely<Schema>,
  token: string,
  now: EpochMs,
): Promise<Actor | null> {
  const row = await db
    .selectFrom('session')
    .innerJoin('account', 'account.id', 'session.account_id')
    .innerJoin('organisation', 'organisation.id', 'account.organisation_id')
    .select(['account.name as account', 'account.role', 'organisation.id as organisation'])
    .select(['organisation.name as organisation_name', 'organisation.path'])
    .where('session.token_hash', '=', tokenHash(token))
    .where('session.expires_at', '>', new Date(now))
    .where('account.disabled_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

/** The account behind name and password, or `null`. Takes as long for a stranger as for a member of the house. */
export async function checkPassword(
  db: Kysely<Schema>,
  name: string,
  password: string,
): Promise<number | null> {
  const row = await db
    .selectFrom('account')
    .select(['id', 'password_hash'])
    .where('name', '=', name)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  const right = await verifyPassword(password, row?.password_hash ?? NOBODYS_HASH);
  return row !== undefined && right ? row.id : null;
}

export async function beginSession(
  db: Kysely<Schema>,
  session: { account_id: number; token: string },
  now: EpochMs,
): Promise<void> {
  const at = new Date(now);
  await db.transaction().execute(async (trx) => {
    await trx.deleteFrom('session').where('expires_at', '<=', at).execute();
    const oldest = trx
      .selectFrom('session')
      .select('token_hash')
      .where('account_id', '=', session.account_id)
      .orderBy('created_at', 'desc')
      .offset(SESSIONS_PER_ACCOUNT_MAX - 1);
    await trx.deleteFrom('session').where('token_hash', 'in', oldest).execute();
    await trx
      .insertInto('session')
      .values({
        token_hash: tokenHash(session.token),
        account_id: session.account_id,
        created_at: at,
        expires_at: new Date(now + SESSION_LIFE_MS),
        last_seen_at: at,
      })
      .execute();
  });
}

export async function endSession(db: Kysely<Schema>, token: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', tokenHash(token)).execute();
}
