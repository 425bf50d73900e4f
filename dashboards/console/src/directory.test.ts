import { expect, test } from 'vitest';
import { STATION_STATUSES, type StationIndex } from '@waystation/protocol/api';
import { countStations, filterStations } from './directory.ts';
import { STATUSES } from './status.ts';

const index: StationIndex = {
  version: '1',
  code: ['370102001W00011', '370102001W00022', '370811011M00013'],
  name: ['泉城路驿站', '大明湖驿站', '古槐妈妈小屋'],
  longitude: [117, 117, 116.6],
  latitude: [36.6, 36.7, 35.4],
  county: ['370102', '370102', '370811'],
  kind: ['W', 'W', 'M'],
};
const none = { search: '', place: '', kind: '', status: '' } as const;
const states = Uint8Array.of(1, 5, 4);

test('the digits mean what the protocol says', () => {
  expect(STATUSES).toEqual(STATION_STATUSES);
});

test('worst first, then by code', () => {
  expect(filterStations(index, states, none)).toEqual([1, 2, 0]);
});

test('filters by name, code, place, kind and status, together', () => {
  expect(filterStations(index, states, { ...none, search: '明湖' })).toEqual([1]);
  expect(filterStations(index, states, { ...none, search: '370811011m' })).toEqual([2]);
  expect(filterStations(index, states, { ...none, place: '3701' })).toEqual([1, 0]);
  expect(filterStations(index, states, { ...none, kind: 'M' })).toEqual([2]);
  expect(filterStations(index, states, { ...none, status: 'open' })).toEqual([0]);
  expect(filterStations(index, states, { ...none, status: 'open', kind: 'M' })).toEqual([]);
});

test('counts by status what the other filters leave', () => {
  expect(countStations(index, states, none)).toEqual([0, 1, 0, 0, 1, 1]);
  expect(countStations(index, states, { ...none, place: '3701' })).toEqual([0, 1, 0, 0, 0, 1]);
});
