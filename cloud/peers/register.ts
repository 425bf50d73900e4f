/** The clouds that run on one database, the gateways each holds, and the bulletins they leave each other. */
import { sql, type Kysely } from 'kysely';
import { CHANNEL } from '../database/listener.ts';
import type { Schema } from '../database/schema.ts';
import type { Bulletin } from './bulletin.ts';

/** A cloud that has not been heard for this long holds no gateway any more. By the database's clock. */
export const LEASE_S = 8;
/** Others go on telling a cloud that is silent, and keep what they told, for this long. */
export const KEPT_S = 60;
/** One reading of bulletins. */
export const READ_ROWS_MAX = 50;
/** Bulletins are numbered in the order of their commits, so that no reader passes one that is still under way. */
const BULLETIN_LOCK = 7_461_002;

export interface PeerRow {
  id: string;
  alive: boolean;
  reaches: string[];
}

/** The next live number's life: see the hub. */
export async function nextLife(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ life: number }>`select nextval('cloud_life')::int as life`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) throw new RangeError('nextval returned no row');
  return row.life;
}

/** Says that this cloud lives and which gateways it holds; forgets clouds and bulletins of the past. */
export async function signRegister(
  db: Kysely<Schema>,
  cloud: string,
  reaches: readonly string[],
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await sql`insert into cloud_process (id) values (${cloud})
      on conflict (id) do update set seen_at = now()`.execute(trx);
    await sql`delete from gateway_stream where cloud = ${cloud} and reach <> all(${reaches}::text[])`.execute(
      trx,
    );
    await sql`insert into gateway_stream (cloud, reach)
      select ${cloud}, r from unnest(${reaches}::text[]) as r on conflict do nothing`.execute(trx);
  });
  const past = sql<Date>`now() - make_interval(secs => ${KEPT_S})`;
  // Two that clear at once do not wait for each other.
  const silent = db.selectFrom('cloud_process').select('id').where('seen_at', '<', past);
  await db.deleteFrom('cloud_process').where('id', 'in', silent.forUpdate().skipLocked()).execute();
  await db.deleteFrom('bulletin').where('at', '<', past).execute();
}

export async function leaveRegister(db: Kysely<Schema>, cloud: string): Promise<void> {
  await db.deleteFrom('cloud_process').where('id', '=', cloud).execute();
  await knock(db);
}

export async function readPeers(db: Kysely<Schema>, cloud: string): Promise<PeerRow[]> {
  return db
    .selectFrom('cloud_process')
    .leftJoin('gateway_stream', 'gateway_stream.cloud', 'cloud_process.id')
    .select('cloud_process.id')
    .select(
      sql<boolean>`cloud_process.seen_at > now() - make_interval(secs => ${LEASE_S})`.as('alive'),
    )
    .select(sql<string[]>`array_remove(array_agg(gateway_stream.reach), null)`.as('reaches'))
    .where('cloud_process.id', '<>', cloud)
    .groupBy('cloud_process.id')
    .orderBy('cloud_process.id')
    .execute();
}

export async function writeBulletin(
  db: Kysely<Schema>,
  cloud: string,
  bulletin: Bulletin,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${BULLETIN_LOCK})`.execute(trx);
    await trx
      .insertInto('bulletin')
      .values({ cloud, body: JSON.stringify(bulletin) })
      .execute();
    await sql`select pg_notify(${CHANNEL}, ${cloud})`.execute(trx);
  });
}

/** Without a bulletin, and with no cloud's name: all look at the register. */
export async function knock(db: Kysely<Schema>): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, '')`.execute(db);
}

export async function newestBulletin(db: Kysely<Schema>): Promise<string> {
  const row = await db
    .selectFrom('bulletin')
    .select(sql<string>`coalesce(max(id), 0)`.as('id'))
    .executeTakeFirstOrThrow();
  return row.id;
}

/** In order, own ones included: the reader's place moves past them. */
export async function readBulletins(
  db: Kysely<Schema>,
  after: string,
): Promise<{ id: string; cloud: string; body: unknown }[]> {
  return db
    .selectFrom('bulletin')
    .select(['id', 'cloud', 'body'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(READ_ROWS_MAX)
    .execute();
}
