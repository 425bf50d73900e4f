/** What gives way when the disk budget is reached: the oldest samples, first thinned, then dropped, each hole on record. */
import type { SampleRecord } from '@waystation/protocol/records';

export type Gap = Extract<SampleRecord, { kind: 'gap' }>;

/** A stored sample that covers `seq` to `seq + span - 1`. */
export interface StoredSample {
  seq: number;
  span: number;
  record: SampleRecord;
}

/** Replaces every stored sample from `from_seq` to `to_seq`. */
export interface Replacement {
  from_seq: number;
  to_seq: number;
  by: StoredSample;
}

/** At one report a minute a thinned record stands for an hour or so; what is older still is dropped. */
export const THINNED_SPAN_MAX = 64;

/** The newer of two reports, with what only the older one measured: reports carry changes, not everything. */
function mergeReports(older: StoredSample, newer: StoredSample): StoredSample | null {
  if (older.record.kind !== 'report' || newer.record.kind !== 'report') return null;
  if (older.record.boot !== newer.record.boot || older.record.clock !== newer.record.clock)
    return null;
  const span = older.span + newer.span;
  if (span > THINNED_SPAN_MAX) return null;
  const record = {
    ...newer.record,
    span,
    values: { ...older.record.values, ...newer.record.values },
  };
  return { seq: older.seq, span, record };
}

/** Merges neighbours two by two. `samples` are consecutive, oldest first. */
export function thin(samples: readonly StoredSample[]): Replacement[] {
  const replacements: Replacement[] = [];
  for (let i = 0; i + 1 < samples.length; i += 1) {
    const [older, newer] = [samples[i], samples[i + 1]];
    const by = older && newer && mergeReports(older, newer);
    if (!by) continue;
    replacements.push({ from_seq: by.seq, to_seq: by.seq + by.span - 1, by });
    i += 1;
  }
  return replacements;
}

/** One gap that says all of `samples` are gone; a gap among them is widened. Null for an empty list. */
export function drop(samples: readonly StoredSample[], reason: Gap['reason']): Replacement | null {
  const [oldest, newest] = [samples[0], samples.at(-1)];
  if (!oldest || !newest) return null;
  const span = newest.seq + newest.span - oldest.seq;
  const record = gapOf(oldest.record, newest.record, span, reason);
  return {
    from_seq: oldest.seq,
    to_seq: oldest.seq + span - 1,
    by: { seq: oldest.seq, span, record },
  };
}

/** The gap left by everything from `oldest` to `newest`. */
export function gapOf(
  oldest: SampleRecord,
  newest: SampleRecord,
  span: number,
  reason: Gap['reason'],
): Gap {
  const { at, mono, boot, clock } = newest;
  const from_at = oldest.kind === 'gap' ? oldest.from_at : oldest.at;
  return { kind: 'gap', at, mono, boot, clock, span, reason, from_at };
}
