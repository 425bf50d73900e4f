/** A day offline: fills the outboxes of a fleet with what its stations would have kept, before the fleet starts. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beginLanes, epochId } from '@waystation/edge/outbox/lanes';
import { openOutboxFile, type Lane, type OutboxFile } from '@waystation/edge/outbox/outbox-file';
import type { StationCode } from '@waystation/protocol/station-code';
import { chainNext } from '@waystation/runtime/hash-chain';
import { eventJson, sampleJson } from '../ingest/station-stream.ts';

export interface BacklogShape {
  samples_per_station: number;
  events_per_station: number;
  /** Wall time, ms: the newest record is this old. */
  until: number;
  /** Time that the backlog spans, ms. */
  span_ms: number;
}

const SIZE_LIMIT_BYTES = 10 * 1024 ** 3;
const STATIONS_A_COMMIT = 50;
const BOOT = '0ff11e00';

function fillEvents(file: OutboxFile, lane: Lane, shape: BacklogShape): void {
  let { head, head_hash } = lane;
  const spacing_ms = shape.span_ms / Math.max(1, shape.events_per_station);
  for (let n = 0; n < shape.events_per_station; n += 1) {
    const at = Math.round(shape.until - shape.span_ms + n * spacing_ms);
    const body = eventJson(n, at);
    head += 1;
    head_hash = chainNext(head_hash, body);
    file.insert(lane.id, { seq: head, span: 1, hash: head_hash, body });
  }
}

function fillSamples(file: OutboxFile, lane: Lane, shape: BacklogShape): void {
  const spacing_ms = shape.span_ms / Math.max(1, shape.samples_per_station);
  for (let n = 0; n < shape.samples_per_station; n += 1) {
    const at = Math.round(shape.until - shape.span_ms + n * spacing_ms);
    file.insert(lane.id, { seq: lane.head + n + 1, span: 1, hash: null, body: sampleJson(n, at) });
  }
}

/** Begins and fills `fleet_dir/outbox.db`. `tell` hears now and then how many stations are done. */
export function fillBacklog(
  fleet_dir: string,
  codes: readonly StationCode[],
  shape: BacklogShape,
  random: () => number,
  tell: (stations: number) => void,
): void {
  mkdirSync(fleet_dir, { recursive: true });
  const file = openOutboxFile(join(fleet_dir, 'outbox.db'), SIZE_LIMIT_BYTES);
  const at = Math.round(shape.until - shape.span_ms);
  const stamp = { at, mono: 0, boot: BOOT, clock: 'synced' as const };
  try {
    for (let from = 0; from < codes.length; from += STATIONS_A_COMMIT) {
      file.transaction(() => {
        for (const code of codes.slice(from, from + STATIONS_A_COMMIT)) {
          const lanes = beginLanes(file, code, epochId(random), stamp, 'created', null);
          fillEvents(file, lanes.event, shape);
          fillSamples(file, lanes.sample, shape);
        }
      });
      if ((from / STATIONS_A_COMMIT) % 20 === 0) tell(from);
    }
  } finally {
    file.close();
  }
}
