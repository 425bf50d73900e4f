/** Writes the seed into an empty database, once, in one transaction. */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { shandongOrganisations, shandongStations } from './shandong.ts';

/** Rows in one statement: one parameter, a few hundred kilobytes. */
const CHUNK_ROWS = 2000;

function* chunks<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < rows.length; at += CHUNK_ROWS) yield rows.slice(at, at + CHUNK_ROWS);
}

interface OrganisationRow {
  id: number;
  parent: number | null;
  level: string;
  adcode: string;
  name: string;
  path: string;
}

/** Ids in the order of the divisions, so that two seeds of one version are equal. */
function organisationRows(): OrganisationRow[] {
  const by_adcode = new Map<string, OrganisationRow>();
  for (const { adcode, parent, level, name } of shandongOrganisations()) {
    const id = by_adcode.size + 1;
    const above = parent === null ? undefined : by_adcode.get(parent);
    const path = above === undefined ? String(id) : `${above.path}.${id}`;
    by_adcode.set(adcode, { id, parent: above?.id ?? null, level, adcode, name, path });
  }
  return [...by_adcode.values()];
}

async function insertAll(trx: Transaction<Schema>, number: number): Promise<number> {
  const organisations = organisationRows();
  const ids = new Map(organisations.map(({ adcode, id }) => [adcode, id]));
  for (const rows of chunks(organisations)) {
    await sql`insert into organisation (id, parent, level, adcode, name, path)
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as r(id int, parent int, level text, adcode text, name text, path text)`.execute(trx);
  }
  const stations = shandongStations(number);
  for (const rows of chunks(stations)) {
    const values = rows.map((station) => ({
      ...station,
      organisation_id: ids.get(station.township),
    }));
    await sql`insert into station (code, name, kind, organisation_id, address, longitude, latitude, seats, capacity)
      select r.code, r.name, r.kind, r.organisation_id, r.address, r.longitude, r.latitude, r.seats, r.seats
      from jsonb_to_recordset(${JSON.stringify(values)}::jsonb)
      as r(code text, name text, kind text, organisation_id int, address text,
           longitude double precision, latitude double precision, seats int)
      order by r.code`.execute(trx);
  }
  await sql`select setval(pg_get_serial_sequence('organisation', 'id'), ${organisations.length})`.execute(
    trx,
  );
  return stations.length;
}

/** Does nothing when there is any organisation already. Returns how many stations it wrote. */
export async function seedShandong(db: Kysely<Schema>, number: number): Promise<number> {
  const written = await db.transaction().execute(async (trx) => {
    await sql`lock table organisation in exclusive mode`.execute(trx);
    const there = await trx.selectFrom('organisation').select('id').limit(1).executeTakeFirst();
    return there === undefined ? insertAll(trx, number) : 0;
  });
  if (written > 0) await sql`analyze organisation, station`.execute(db);
  return written;
}
