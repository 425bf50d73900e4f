import { Point } from '@influxdata/influxdb-client';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MEASUREMENT_NAMES, type Measurements } from '@waystation/protocol/registers';
import { stationCode } from '@waystation/protocol/station-code';
import { lineOf } from './line-protocol.ts';

const station = stationCode('370102001', 'W', 1);

it('writes what the official client would write', () => {
  const values = fc.dictionary(
    fc.constantFrom(...MEASUREMENT_NAMES),
    fc.double({ min: -40, max: 65_535, noNaN: true }),
    { minKeys: 1 },
  );
  fc.assert(
    fc.property(
      values,
      fc.integer({ min: 1 }),
      fc.integer({ min: 0 }),
      (values: Measurements, organisation_id, at) => {
        const point = new Point('report')
          .tag('org', `${organisation_id}`)
          .tag('station', station)
          .timestamp(at);
        for (const [name, value] of Object.entries(values)) point.floatField(name, value);
        const parts = (line = '') => {
          const [series, fields = '', time] = line.split(' ');
          return [
            series,
            fields
              .split(',')
              .map((field) => field.replace('=-0', '=0'))
              .sort(),
            time,
          ];
        };
        const line = lineOf({ station, station_id: 1, organisation_id, at, values });
        expect(parts(line ?? '')).toEqual(parts(point.toLineProtocol({ convertTime: String })));
      },
    ),
  );
});

it('has nothing to write for a report without values', () => {
  expect(lineOf({ station, station_id: 1, organisation_id: 1, at: 1, values: {} })).toBe(null);
});
