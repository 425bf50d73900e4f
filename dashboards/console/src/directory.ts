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

type PlaceFilter = Omit<StationFilter, 'status'>;

function fits(index: StationIndex, i: number, filter: PlaceFilter, search: string): boolean {
  if (filter.kind !== '' && index.kind[i] !== filter.kind) return false;
  if (filter.place !== '' && !index.county[i]?.startsWith(filter.place)) return false;
  return (
    search === '' ||
    index.code[i]?.includes(search) === true ||
    index.name[i]?.toUpperCase().includes(search) === true
  );
}

const asSearch = (text: string) => text.trim().toUpperCase();

/** How many stations of each status the other filters leave. */
export function countStations(
  index: StationIndex,
  states: Uint8Array,
  filter: PlaceFilter,
): number[] {
  const search = asSearch(filter.search);
  const counts = STATUSES.map(() => 0);
  for (let i = 0; i < index.code.length; i += 1) {
    const digit = states[i] ?? 0;
    if (fits(index, i, filter, search)) counts[digit] = (counts[digit] ?? 0) + 1;
  }
  return counts;
}

/** Worst last in the digits, so worst first in the list; equal ones in the order of their codes. */
export function filterStations(
  index: StationIndex,
  states: Uint8Array,
  filter: StationFilter,
): number[] {
  const wanted = filter.status === '' ? -1 : STATUSES.indexOf(filter.status);
  const search = asSearch(filter.search);
  const buckets: number[][] = STATUSES.map(() => []);
  for (let i = 0; i < index.code.length; i += 1) {
    const digit = states[i] ?? 0;
    if (wanted >= 0 && digit !== wanted) continue;
    if (!fits(index, i, filter, search)) continue;
    buckets[digit]?.push(i);
  }
  return buckets.reverse().flat();
}
