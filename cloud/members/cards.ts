/** Members and their cards in the database: a member, a place in the status list and a signed card in one transaction. */
import { randomInt } from 'node:crypto';
import { sql, type Kysely, type Transaction } from 'kysely';
import { RIGHTS } from '@waystation/protocol/access';
import type { MemberCard, MemberRequest } from '@waystation/protocol/api';
import { pointFromSec1, type P256Point } from '@waystation/protocol/card/cose-key';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { inSubtree, type Actor } from '../accounts/scope.ts';
import { issueCard, type IssuedCard } from '../cards/issuer.ts';
import type { CardKeys } from '../cards/key-store.ts';
import { CARD_PLACES } from '../cards/status-publisher.ts';
import type { Schema } from '../database/schema.ts';
import { appendAudit } from '../operations/audit.ts';
import type { PublishedTrust } from './published-trust.ts';

/** What membership itself opens; the staff's right is given by other means. */
const MEMBER_RIGHTS = (1 << RIGHTS.hall) | (1 << RIGHTS.night) | (1 << RIGHTS.momsRoom);
/** Places are drawn at random; with a million cards given, twenty draws miss a free one once in 10^12 times. */
const DRAWS_MAX = 20;

export interface CardDesk {
  /** Throws Fault NOT_FOUND for an organisation outside the scope, CARD_INVALID for a key that is none. */
  enrol(actor: Actor, request: MemberRequest): Promise<MemberCard>;
  /** Throws Fault NOT_FOUND. A card revoked already stays as it is. Returns whether it was still in use. */
  revoke(actor: Actor, index: number, reason: string): Promise<boolean>;
}

function holderOf(holder_key: string): P256Point {
  const point = pointFromSec1(new Uint8Array(Buffer.from(holder_key, 'base64')));
  if (point !== null) return point;
  throw new Fault('CARD_INVALID', {
    field: 'body.holder_key',
    problem: 'not a compressed P-256 point in base64 (33 bytes, the first 02 or 03)',
  });
}

async function organisationOf(trx: Transaction<Schema>, actor: Actor, id: number): Promise<number> {
  const row = await trx
    .selectFrom('organisation')
    .select('id')
    .where('id', '=', id)
    .where(inSubtree(actor.path))
    .executeTakeFirst();
  if (row === undefined) throw new Fault('NOT_FOUND', { problem: `no organisation ${id}` });
  return row.id;
}

/** Signs a card for a free place taken at random, so that a number tells nothing of who joined when. */
async function writeCard(
  trx: Transaction<Schema>,
  sign: (index: number) => IssuedCard,
  row: { member_id: number; holder_key: Buffer },
): Promise<IssuedCard & { index: number }> {
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    const index = randomInt(CARD_PLACES);
    const issued = sign(index);
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('card')
      .values({
        ...row,
        index,
        rights: MEMBER_RIGHTS,
        issued_at: new Date(issued.issued_at_s * 1000),
        expires_at: new Date(issued.expires_at_s * 1000),
      })
      .onConflict((conflict) => conflict.column('index').doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 1n) return { ...issued, index };
  }
  throw new Fault('CARD_INVALID', { problem: 'no free place in the status list' });
}

interface DeskParts {
  db: Kysely<Schema>;
  clock: Clock;
  keys: CardKeys;
  trust: PublishedTrust;
}

export function createCardDesk(parts: DeskParts): CardDesk {
  return {
    enrol: (actor, request) => enrol(parts, actor, request),
    revoke: (actor, index, reason) => revoke(parts, actor, index, reason),
  };
}

async function enrol(parts: DeskParts, actor: Actor, request: MemberRequest): Promise<MemberCard> {
  const { db, clock, keys } = parts;
  const holder = holderOf(request.holder_key);
  const at = clock.wall();
  const now_s = Math.floor(at / 1000);
  return db.transaction().execute(async (trx) => {
    const asked = request.organisation ?? actor.organisation;
    const organisation_id = await organisationOf(trx, actor, asked);
    const { id: member_id } = await trx
      .insertInto('member')
      .values({ name: request.name, organisation_id })
      .returning('id')
      .executeTakeFirstOrThrow();
    const key = keys.signingKey('card', now_s);
    const sign = (index: number) =>
      issueCard(key, { holder, index, org: organisation_id, rights: MEMBER_RIGHTS }, now_s);
    const holder_key = Buffer.from(request.holder_key, 'base64');
    const { index, card, expires_at_s } = await writeCard(trx, sign, { member_id, holder_key });
    await appendAudit(trx, {
      at,
      actor: actor.account,
      action: 'member.enrol',
      subject: String(member_id),
      detail: { organisation: organisation_id, card: index },
    });
    return { member: member_id, index, card: Buffer.from(card).toString('base64'), expires_at_s };
  });
}

async function revoke(
  { db, clock, trust }: DeskParts,
  actor: Actor,
  index: number,
  reason: string,
): Promise<boolean> {
  const at = clock.wall();
  const revoked = await db.transaction().execute(async (trx) => {
    const card = await trx
      .selectFrom('card')
      .innerJoin('member', 'member.id', 'card.member_id')
      .innerJoin('organisation', 'organisation.id', 'member.organisation_id')
      .select('card.revoked_at')
      .where('card.index', '=', index)
      .where(inSubtree(actor.path))
      .modifyEnd(sql`for update of card`)
      .executeTakeFirst();
    if (card === undefined) throw new Fault('NOT_FOUND', { problem: `no card ${index}` });
    if (card.revoked_at !== null) return false;
    await trx
      .updateTable('card')
      .set({ revoked_at: new Date(at), revoked_reason: reason })
      .where('index', '=', index)
      .execute();
    await trust.bump(trx);
    const act = { action: 'card.revoke', subject: String(index), detail: { reason } };
    await appendAudit(trx, { at, actor: actor.account, ...act });
    return true;
  });
  if (revoked) await trust.reload();
  return revoked;
}
