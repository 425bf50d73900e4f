/** A whole autonomy run: the silence, the account, the drain; its figures in one flat line. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stationKind } from '@waystation/protocol/station-code';
import { openTestDatabase, seedStations } from '../ingest/databases.ts';
import { drain, type Drained } from './autonomy-drain.ts';
import { AutonomyRun, type Account, type AutonomyOptions, type Tally } from './autonomy.ts';

/** A season's commits in a minute: a disk that syncs each of them is another suite's (test/power). */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface Verdict {
  tally: Tally;
  account: Account;
  /** null: the cloud did not come back. */
  drained: Drained | null;
  events: number;
  samples: number;
  thinned: number;
  dropped: number;
  outbox_mb: number;
  flash_mb_per_day: number;
}

export async function runAutonomy(
  options: Omit<AutonomyOptions, 'directory'>,
  afterwards: 'drain' | 'stay alone' = 'drain',
): Promise<Verdict> {
  const directory = mkdtempSync(join(MEMORY, 'waystation-autonomy-'));
  const run = new AutonomyRun({ ...options, directory });
  const database = await openTestDatabase('pglite:memory://');
  try {
    await run.days();
    const account = run.account();
    const [events, samples] = [run.events.length, run.samples.length];
    const outbox_mb = run.life.store.usedBytes() / 1e6;
    await seedStations(database, 1);
    await database.pool.query(
      `insert into station (code, name, kind, organisation_id, longitude, latitude)
       values ($1, $1, $2, 1, 117, 36.6) on conflict do nothing`,
      [options.code, stationKind(options.code)],
    );
    const drained = afterwards === 'drain' ? await drain(run, database) : null;
    return {
      tally: run.tally,
      account,
      drained,
      events,
      samples,
      ...run.gave_way,
      outbox_mb,
      flash_mb_per_day: run.tally.written_bytes / 1e6 / options.days,
    };
  } finally {
    await run.end();
    await database.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const rounded = (value: number) => Math.round(value * 10) / 10;

/** For people and for a line of JSON. */
export function figures(options: { seed: number; days: number }, verdict: Verdict): object {
  const { tally, account, drained } = verdict;
  const refused = Object.values(tally.refused).reduce((sum, count) => sum + count, 0);
  return {
    seed: options.seed,
    days: options.days,
    scans: tally.scans,
    granted: tally.granted,
    refused: refused + tally.occupied,
    wrong_answers: tally.wrong.length,
    decision_ms_max: tally.decision_ms_max,
    boots: tally.boots,
    connects: tally.connects,
    events: verdict.events,
    samples: verdict.samples,
    thinned: verdict.thinned,
    dropped: verdict.dropped,
    gaps: account.gaps,
    unaccounted: account.unaccounted + (drained?.problems.length ?? 0),
    outbox_mb: rounded(verdict.outbox_mb),
    flash_mb_per_day: rounded(verdict.flash_mb_per_day),
    drain_messages: drained?.messages,
    drain_mb: rounded(drained?.megabytes ?? 0),
    bands: drained?.bands,
    heap_mb: tally.heap_mb,
  };
}
