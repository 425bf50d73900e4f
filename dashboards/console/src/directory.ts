/** The stations by place in the index, and which of them a filter leaves, worst first. */
import type { StationIndex, StationStatus } from '@waystation/protocol/api';
import { STATUSES } from './status.ts';

export interface StationFilter {
  search: string;
  /** Division code of a city or county, or empty. */
  place: string;
  kind: 'W' | 'M' | '';
  status: StationStatus | '';
}

/** Worst last in the digits, so worst first in the list; equal ones in the order of their codes. */
export function filterStations(
  index: StationIndex,
  states: Uint8Array,
  filter: StationFilter,
): number[] {
  const wanted = filter.status === '' ? -1 : STATUSES.indexOf(filter.status);
  const search = filter.search.trim().toUpperCase();
  const buckets: number[][] = STATUSES.map(() => []);
  for (let i = 0; i < index.code.length; i += 1) {
    const digit = states[i] ?? 0;
    if (wanted >= 0 && digit !== wanted) continue;
    if (filter.kind !== '' && index.kind[i] !== filter.kind) continue;
    if (filter.place !== '' && !index.county[i]?.startsWith(filter.place)) continue;
    if (
      search !== '' &&
      !index.code[i]?.includes(search) &&
      !index.name[i]?.toUpperCase().includes(search)
    )
      continue;
    buckets[digit]?.push(i);
  }
  return buckets.reverse().flat();
}
