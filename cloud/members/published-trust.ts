/** The key set and the status list as published: kept current by time and by revocations, signed once a version. */
import { sql, type Kysely, type Transaction } from 'kysely';
import { z } from 'zod';
import { statusListOf } from '@waystation/protocol/card/status-list';
import type { Clock } from '@waystation/runtime/clock';
import type { CardKeys } from '../cards/key-store.ts';
import { publishStatusList, STATUS_LIST_BYTES } from '../cards/status-publisher.ts';
import type { Schema } from '../database/schema.ts';
import type { TrustPublisher } from '../gateway-link/trust.ts';

const SETTING = 'status_list';
/** A list lives as long as a card; a fresh one long before that, revocations or not. */
const LIST_LIFE_S = 7 * 86_400;

const Published = z.strictObject({ version: z.int().min(1), issued_at_s: z.int() });
type Published = z.output<typeof Published>;

export interface PublishedTrust extends TrustPublisher {
  /** Counts the version up, in the transaction that revokes; `reload` after its commit. */
  bump(trx: Transaction<Schema>): Promise<void>;
  /** Reads the key set, and what is revoked now, and signs that. */
  reload(): Promise<void>;
  /** Makes due keys and a fresh list where the old ones age. True when something new is out. */
  renew(): Promise<boolean>;
}

export async function openPublishedTrust(parts: {
  db: Kysely<Schema>;
  clock: Clock;
  keys: CardKeys;
  /** Of several clouds one renews at a time: two that do it together make two key sets of one version. */
  alone: <T>(work: () => Promise<T>) => Promise<T>;
}): Promise<PublishedTrust> {
  const { db, clock, keys, alone } = parts;
  const now_s = () => Math.floor(clock.wall() / 1000);
  let list: Published & { body: Uint8Array } = {
    version: 0,
    issued_at_s: 0,
    body: new Uint8Array(),
  };

  async function bump(trx: Transaction<Schema>): Promise<void> {
    // The first writer makes the row, the others wait for it: no version is given twice.
    const first: Published = { version: 1, issued_at_s: now_s() };
    await sql`insert into setting (name, value, changed_at)
      values (${SETTING}, ${JSON.stringify(first)}::jsonb, ${new Date(clock.wall())})
      on conflict (name) do update set changed_at = excluded.changed_at, value = excluded.value ||
        jsonb_build_object('version', (setting.value ->> 'version')::int + 1)`.execute(trx);
  }
  async function readPublished(): Promise<Published | null> {
    const row = await db
      .selectFrom('setting')
      .select('value')
      .where('name', '=', SETTING)
      .executeTakeFirst();
    return row === undefined ? null : Published.parse(row.value);
  }
  async function reload(): Promise<void> {
    keys.reload();
    // The version first: a revocation in between is in the list and in the next version, never in none.
    const published = await readPublished();
    if (published === null || published.version === list.version) return;
    const rows = await db
      .selectFrom('card')
      .select('index')
      .where('revoked_at', 'is not', null)
      .execute();
    const bits = statusListOf(
      rows.map(({ index }) => index),
      STATUS_LIST_BYTES,
    );
    const key = keys.signingKey('statusList', now_s());
    // Two who reload at once: the one that ends last may have read the older version.
    if (published.version < list.version) return;
    list = { ...published, body: publishStatusList(key, bits, published.version, now_s()) };
  }
  async function renew(): Promise<boolean> {
    const keys_reloaded = keys.reload();
    const keys_renewed = keys.renew(now_s()) || keys_reloaded;
    const published = await readPublished();
    const due = published === null || now_s() - published.issued_at_s > LIST_LIFE_S;
    if (due) await db.transaction().execute(bump);
    const before = list.version;
    await reload();
    return keys_renewed || list.version !== before;
  }

  await alone(renew);
  return {
    versions: () => ({
      key_set_version: keys.keySet().key_set.version,
      status_list_version: list.version,
    }),
    keySet: () => ({ version: keys.keySet().key_set.version, body: keys.keySet().body }),
    statusList: () => ({ version: list.version, body: list.body }),
    bump,
    reload,
    renew: () => alone(renew),
  };
}
