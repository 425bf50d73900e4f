/** Gives disk space back step by step: thins the samples from the oldest on, and drops the oldest when all are thin. */
import type { SampleRecord } from '@waystation/protocol/records';
import type { Lane, OutboxFile } from './outbox-file.ts';
import { parseBody } from './reading.ts';
import type { Station } from './station-log.ts';
import { drop, thin, type Replacement, type StoredSample } from './thinning.ts';

interface Step {
  thinned: number;
  dropped: number;
  /** Everything before this number is as thin as it may get: the next step begins here. */
  thin_from: number;
}

/** The newest numbers are never thinned: they are what somebody looks at first when the link is back. */
const KEPT_WHOLE = 256;
const THIN_ROWS = 512;
const DROP_ROWS = 64;
const STEPS_MAX = 32;

function storedFrom(file: OutboxFile, lane: Lane, seq: number, limit: number): StoredSample[] {
  const rows = file.rowsFrom(lane.id, seq, limit);
  return rows.map(({ seq, span, body }) => ({
    seq,
    span,
    record: parseBody(body) as SampleRecord,
  }));
}

function replace(file: OutboxFile, lane: Lane, { from_seq, to_seq, by }: Replacement): void {
  file.delete(lane.id, from_seq, to_seq);
  file.insert(lane.id, { seq: by.seq, span: by.span, hash: null, body: JSON.stringify(by.record) });
}

/** Thins the first stretch that can still be thinned. */
function thinStep(file: OutboxFile, lane: Lane, thin_from: number): Step {
  const end = lane.head - KEPT_WHOLE;
  let seq = Math.max(thin_from, lane.acked + 1);
  while (seq <= end) {
    const samples = storedFrom(file, lane, seq, THIN_ROWS).filter((sample) => sample.seq <= end);
    const replacements = thin(samples);
    for (const replacement of replacements) replace(file, lane, replacement);
    if (replacements.length > 0)
      return { thinned: replacements.length, dropped: 0, thin_from: seq };
    const newest = samples.at(-1);
    if (!newest || samples.length < THIN_ROWS) break; // what is left may find a partner later
    seq = newest.seq;
  }
  return { thinned: 0, dropped: 0, thin_from: seq };
}

/** Turns the oldest stretch into one gap record. A gap with another reason keeps its own record. */
function dropStep(file: OutboxFile, lane: Lane): number {
  const samples = storedFrom(file, lane, lane.acked + 1, DROP_ROWS);
  const first = samples.findIndex(({ record }) => record.kind === 'report');
  if (first < 0) return 0;
  const before = samples[first - 1]?.record;
  const start = before?.kind === 'gap' && before.reason === 'diskBudget' ? first - 1 : first;
  const after = samples.findIndex(({ record }, index) => index > first && record.kind === 'gap');
  const run = samples.slice(start, after < 0 ? undefined : after);
  const replacement = drop(run, 'diskBudget');
  if (replacement === null || run.length < 2) return 0;
  replace(file, lane, replacement);
  return run.length - 1;
}

/**
 * Steps until the file uses `target_bytes` or nothing is left that may give way; each a transaction. The station with
 * the most samples goes first. A limited number of steps at a time, so that the door need not wait for a large budget.
 */
export function reclaim(
  file: OutboxFile,
  stations: ReadonlyMap<string, Station>,
  target_bytes: number,
): { thinned: number; dropped: number } {
  const sum = { thinned: 0, dropped: 0 };
  for (let steps = 0; steps < STEPS_MAX && file.usedBytes() > target_bytes; steps += 1) {
    const longest = stations.size > 1 ? file.longestSampleStation() : null;
    const station = longest === null ? [...stations.values()][0] : stations.get(longest);
    if (!station) break;
    const lane = station.lanes.sample;
    const step = file.transaction(() => {
      const thinned = thinStep(file, lane, station.thin_from);
      return thinned.thinned > 0 ? thinned : { ...thinned, dropped: dropStep(file, lane) };
    });
    station.thin_from = step.thin_from;
    sum.thinned += step.thinned;
    sum.dropped += step.dropped;
    if (step.thinned + step.dropped === 0) break;
  }
  return sum;
}
