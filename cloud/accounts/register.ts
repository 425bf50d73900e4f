/** Accounts made and ended by those who run the service. */
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { ROLES } from '@waystation/protocol/api';
import type { EpochMs } from '@waystation/runtime/clock';
import { firstIssue } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from '../database/schema.ts';
import { appendAudit } from '../operations/audit.ts';
import { hashPassword, PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN } from './password.ts';

const NewAccount = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{1,62}$/, 'lower-case letters, digits, . _ -'),
  role: z.enum(ROLES),
  /** Division code of the organisation: 37, 3708, 370811, 370811011. */
  organisation: z.string().regex(/^[0-9]{2,9}$/, 'a division code of 2 to 9 digits'),
  password: z.string().min(PASSWORD_LENGTH_MIN).max(PASSWORD_LENGTH_MAX),
});

/** Who signs the audit line: nobody is signed in at the command line. */
const OPERATOR = 'command-line';

/** Throws Fault USAGE for what is not acceptable or taken, NOT_FOUND for an unknown organisation. */
export async function addAccount(
  db: Kysely<Schema>,
  input: Record<keyof z.input<typeof NewAccount>, string>,
  at: EpochMs,
): Promise<void> {
  const parsed = NewAccount.safeParse(input);
  if (!parsed.success) throw new Fault('USAGE', { ...firstIssue(parsed.error) }, parsed.error);
  const { name, role, organisation, password } = parsed.data;
  const password_hash = await hashPassword(password);
  await db.transaction().execute(async (trx) => {
    const unit = await trx
      .selectFrom('organisation')
      .select('id')
      .where('adcode', '=', organisation)
      .orderBy('path')
      .executeTakeFirst();
    if (unit === undefined) {
      throw new Fault('NOT_FOUND', {
        field: 'organisation',
        problem: `no division ${organisation}`,
      });
    }
    const row = await trx
      .insertInto('account')
      .values({ name, role, organisation_id: unit.id, password_hash, created_at: new Date(at) })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (row === undefined) throw new Fault('USAGE', { field: 'name', problem: 'is taken' });
    const detail = { role, organisation };
    await appendAudit(trx, { at, actor: OPERATOR, action: 'account.add', subject: name, detail });
  });
}

/** Ends the account and its sessions. Throws Fault NOT_FOUND. */
export async function disableAccount(db: Kysely<Schema>, name: string, at: EpochMs): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('account')
      .set({ disabled_at: new Date(at) })
      .where('name', '=', name)
      .where('disabled_at', 'is', null)
      .returning('id')
      .executeTakeFirst();
    if (row === undefined) {
      throw new Fault('NOT_FOUND', { field: 'name', problem: `no active account ${name}` });
    }
    await trx.deleteFrom('session').where('account_id', '=', row.id).execute();
    await appendAudit(trx, {
      at,
      actor: OPERATOR,
      action: 'account.disable',
      subject: name,
      detail: {},
    });
  });
}
