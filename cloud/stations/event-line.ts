/** An event record as a line of the station's history. It never carries what could point at a person. */
import type { EventLine } from '@waystation/protocol/api';
import type { EventRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';

/** Shown in columns of its own, or not at all: `card`, `org` and the card's age are a pseudonym of somebody. */
const LEFT_OUT = ['kind', 'at', 'mono', 'boot', 'clock', 'card', 'org', 'card_issued_at_s'];

type Summary = EventLine['summary'];

/** Nested facts become `devices.reader`, `inputs.smoke`. */
function flatten(record: object, prefix: string, into: Summary): Summary {
  for (const [name, value] of Object.entries(record)) {
    if (prefix === '' && LEFT_OUT.includes(name)) continue;
    if (typeof value === 'object' && value !== null) flatten(value, `${prefix}${name}.`, into);
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      into[`${prefix}${name}`] = value;
    }
  }
  return into;
}

/** `at` and `received_at`: wall time, ms; `at` as far as it can be believed (see the table `event`). */
export function eventLine(
  where: { station: StationCode; epoch: string; seq: number; at: number; received_at: number },
  record: EventRecord,
): EventLine {
  return { ...where, kind: record.kind, clock: record.clock, summary: flatten(record, '', {}) };
}
