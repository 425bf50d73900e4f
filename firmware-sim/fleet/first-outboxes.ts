/** Begins the outboxes of all new stations with a few commits: one by one, a province would wait for ten thousand fsyncs. */
import { beginLanes, epochId } from '@waystation/edge/outbox/lanes';
import { openOutboxFile } from '@waystation/edge/outbox/outbox-file';
import type { Stamp } from '@waystation/edge/time/stamp';
import type { StationCode } from '@waystation/protocol/station-code';

const STATIONS_A_COMMIT = 500;

/** Returns how many were new. Throws Fault DATABASE_LOCKED; a damaged file throws too, and is the store's to set aside. */
export function beginFirstOutboxes(
  path: string,
  size_limit_bytes: number,
  codes: readonly StationCode[],
  stamp: () => Stamp,
  random: () => number,
): number {
  const file = openOutboxFile(path, size_limit_bytes);
  try {
    const fresh = codes.filter((code) => file.loadLane(code, 'event') === null);
    for (let from = 0; from < fresh.length; from += STATIONS_A_COMMIT) {
      file.transaction(() => {
        for (const code of fresh.slice(from, from + STATIONS_A_COMMIT)) {
          beginLanes(file, code, epochId(random), stamp(), 'created', null);
        }
      });
    }
    return fresh.length;
  } finally {
    file.close();
  }
}
