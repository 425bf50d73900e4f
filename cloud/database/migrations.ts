/** Numbered SQL files, each run whole and once, in one transaction with the note that it ran. */
import { readdir, readFile } from 'node:fs/promises';
import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from './schema.ts';

const DIRECTORY = new URL('./migrations/', import.meta.url);
const NAME = /^\d{4}_[a-z0-9_]+\.sql$/;

async function readMigrations(): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {};
  const files = (await readdir(DIRECTORY)).filter((file) => NAME.test(file)).sort();
  for (const file of files) {
    const text = await readFile(new URL(file, DIRECTORY), 'utf8');
    migrations[file.replace(/\.sql$/, '')] = {
      up: async (db) => {
        await sql.raw(text).execute(db);
      },
    };
  }
  return migrations;
}

/** Brings the tables up to date. Returns the names of what it ran. Throws Fault MIGRATION_FAILED; the database is then as before. */
export async function migrate(db: Kysely<Schema>): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: readMigrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results?.find((result) => result.status === 'Error');
    throw new Fault('MIGRATION_FAILED', { migration: failed?.migrationName ?? '?' }, error);
  }
  return (results ?? []).map((result) => result.migrationName);
}
