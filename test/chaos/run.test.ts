/** A short run of the whole: every kind of fault on real processes, and an audit that finds nothing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '@waystation/runtime/clock';
import { temporaryDirectory } from '../servers/process.ts';
import { rosterOf, SMALL_SIZE } from './layout.ts';
import { FAULT_KINDS, planFaults } from './plan.ts';
import { runChaos } from './run.ts';

const SEED = 20_261_124;
const MINUTES = 0.4;
/** Denser than a long run, and shorter blows: each kind must fit in. */
const PACE = {
  first_at_ms: 500,
  gap_min_ms: 400,
  gap_mean_ms: 900,
  hold_min_ms: 500,
  hold_max_ms: 4_000,
} as const;
/** A run that does not drain must still say who holds what: its limit is three minutes. */
const TIMEOUT_MS = 400_000;

test(
  'every kind of fault, seed 20261124: all that was produced is committed, once and in order',
  { timeout: TIMEOUT_MS },
  async () => {
    const kinds = planFaults(SEED, MINUTES, rosterOf(SMALL_SIZE), PACE).map(({ kind }) => kind);
    expect([...new Set(kinds)].sort()).toEqual([...FAULT_KINDS].sort());
    const directory = temporaryDirectory('chaos');
    const said: string[] = [];
    try {
      const outcome = await runChaos({
        seed: SEED,
        minutes: MINUTES,
        size: SMALL_SIZE,
        pace: PACE,
        directory: directory.path,
        clock: systemClock(),
        say: (text) => said.push(text),
        signal: new AbortController().signal,
      });
      expect(outcome, said.join('\n')).toMatchObject({
        passed: true,
        figures: { lost: 0, duplicated: 0, out_of_order: 0, altered: 0, late_openings: 0 },
      });
      const { produced = 0, committed, faults, granted = 0 } = outcome?.figures ?? {};
      expect([committed, faults]).toEqual([produced, kinds.length]);
      expect(produced).toBeGreaterThan(50);
      expect(granted).toBeGreaterThan(10);
      expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(directory.path);
      expect(existsSync(join(directory.path, 'ledger.jsonl'))).toBe(true);
      console.log(`seed ${SEED}: ${JSON.stringify(outcome?.figures)}`);
    } finally {
      directory.remove();
    }
  },
);
