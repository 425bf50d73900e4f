/** A day offline: fills the outboxes of a fleet with what its stations would have kept, before the fleet starts. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beginLanes, epochId } from '@waystation/edge/outbox/lanes';
import { openOutboxFile, type Lane, type OutboxFile } from '@waystation/edge/outbox/outbox-file';
import type { StationCode } from '@waystation/protocol/station-code';
import { chainNext } from '@waystation/runtime/hash-chain';

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

/** An ordinary report at its heartbeat: all measurements. `at` in ms. */
function reportBody(at: number, n: number): string {
  const tenth = n % 10;
  return (
    `{"kind":"report","at":${at},"mono":${n * 60_000},"boot":"${BOOT}","clock":"synced","values":{"uptime_s":${(n * 60) % 65_000},` +
    `"occupancy_count":${n % 7},"entries_count":${n},"water_level_percent":${80 - tenth}.5,"cups_count":${300 - tenth},` +
    `"tissue_percent":55.5,"medicine_doses":20,"battery_percent":98.${tenth},"temperature_cel":24.${tenth},` +
    `"humidity_percent":41.${tenth},"co2_ppm":${600 + tenth}}}`
  );
}

/** What visits leave behind: a card, the door's way out and back. */
function eventBody(at: number, n: number): string {
  const stamp = `"at":${at},"mono":${n * 1_000},"boot":"${BOOT}","clock":"synced"`;
  switch (n % 4) {
    case 0:
      return `{"kind":"access",${stamp},"outcome":"granted","method":"card","card":${1000 + (n % 5000)},"org":370811,"decision_us":2400}`;
    case 1:
      return `{"kind":"door",${stamp},"from":"secured","to":"released","cause":"card"}`;
    case 2:
      return `{"kind":"door",${stamp},"from":"released","to":"open","cause":"contact"}`;
    default:
      return `{"kind":"door",${stamp},"from":"open","to":"secured","cause":"contact"}`;
  }
}

function fillEvents(file: OutboxFile, lane: Lane, shape: BacklogShape): void {
  let { head, head_hash } = lane;
  const spacing_ms = shape.span_ms / Math.max(1, shape.events_per_station);
  for (let n = 0; n < shape.events_per_station; n += 1) {
    const at = Math.round(shape.until - shape.span_ms + n * spacing_ms);
    const body = eventBody(at, n);
    head += 1;
    head_hash = chainNext(head_hash, body);
    file.insert(lane.id, { seq: head, span: 1, hash: head_hash, body });
  }
}

function fillSamples(file: OutboxFile, lane: Lane, shape: BacklogShape): void {
  const spacing_ms = shape.span_ms / Math.max(1, shape.samples_per_station);
  for (let n = 0; n < shape.samples_per_station; n += 1) {
    const at = Math.round(shape.until - shape.span_ms + n * spacing_ms);
    file.insert(lane.id, { seq: lane.head + n + 1, span: 1, hash: null, body: reportBody(at, n) });
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
