/** Gives disk space back step by step: thins the oldest half of the samples, then drops the oldest, until enough is free. */
import type { SampleRecord } from '@waystation/protocol/records';
import type { Lane, OutboxFile } from './outbox-file.ts';
import { parseBody } from './reading.ts';
import { drop, thin, type Replacement, type StoredSample } from './thinning.ts';

export interface Reclaimed {
  thinned: number;
  dropped: number;
}

const STEP_ROWS = 512;

function storedFrom(file: OutboxFile, lane: Lane, seq: number): StoredSample[] {
  const rows = file.rowsFrom(lane.id, seq, STEP_ROWS);
  return rows.map(({ seq, span, body }) => ({ seq, span, record: parseBody(body) as SampleRecord }));
}

function replace(file: OutboxFile, lane: Lane, { from_seq, to_seq, by }: Replacement): void {
  file.delete(lane.id, from_seq, to_seq);
  file.insert(lane.id, { seq: by.seq, span: by.span, hash: null, body: JSON.stringify(by.record) });
}

/** Thins the first stretch of the oldest half that can still be thinned. Returns how many records it saved. */
function thinStep(file: OutboxFile, lane: Lane): number {
  const middle = lane.acked + Math.floor((lane.head - lane.acked) / 2);
  for (let seq = lane.acked + 1; seq <= middle; ) {
    const samples = storedFrom(file, lane, seq).filter((sample) => sample.seq <= middle);
    const replacements = thin(samples);
    for (const replacement of replacements) replace(file, lane, replacement);
    if (replacements.length > 0) return replacements.length;
    const newest = samples.at(-1);
    if (!newest) return 0;
    seq = newest.seq + newest.span;
  }
  return 0;
}

/** Turns the oldest stretch into one gap record. A gap with another reason keeps its own record. */
function dropStep(file: OutboxFile, lane: Lane): number {
  const samples = storedFrom(file, lane, lane.acked + 1);
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

/** Inside a transaction. One step; all zero when nothing is left that may give way. */
export function reclaimStep(file: OutboxFile, lane: Lane): Reclaimed {
  const thinned = thinStep(file, lane);
  return thinned > 0 ? { thinned, dropped: 0 } : { thinned: 0, dropped: dropStep(file, lane) };
}
