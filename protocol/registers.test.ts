import { describe, expect, test } from 'vitest';
import {
  COILS,
  decodeMeasurement,
  DISCRETE_BLOCK,
  DISCRETE_INPUTS,
  MEASUREMENTS,
  type MeasurementRegister,
  UNITS,
} from './registers.ts';

describe('station registers', () => {
  test('no two names share an address, and every input lies in the one block that is read', () => {
    for (const table of [COILS, DISCRETE_INPUTS, MEASUREMENTS]) {
      const places = Object.values(table).map(
        (entry: { unit: string; address: number }) => `${entry.unit}/${entry.address}`,
      );
      expect(new Set(places).size).toBe(places.length);
    }
    for (const input of Object.values(DISCRETE_INPUTS)) {
      expect(input.unit).toBe(DISCRETE_BLOCK.unit);
      expect(input.address).toBeLessThan(DISCRETE_BLOCK.count);
    }
    expect(new Set(Object.values(UNITS)).size).toBe(Object.keys(UNITS).length);
  });

  test('measurements of a unit lie side by side, so that one request reads them', () => {
    for (const unit of Object.keys(UNITS)) {
      const addresses = Object.values(MEASUREMENTS)
        .filter((register) => register.unit === unit)
        .map((register) => register.address);
      expect(addresses).toEqual(addresses.map((_, index) => index));
    }
  });

  test('words decode by type and scale, checked by hand', () => {
    expect(decodeMeasurement('temperature_cel', 0x00ff)).toEqual({ quality: 'good', value: 25.5 });
    expect(decodeMeasurement('temperature_cel', 0xff9c)).toEqual({ quality: 'good', value: -10 });
    expect(decodeMeasurement('temperature_cel', 0x8000)).toEqual({ quality: 'absent' });
    expect(decodeMeasurement('temperature_cel', 0x7fff)).toEqual({
      quality: 'outOfRange',
      value: 3276.7,
    });
    expect(decodeMeasurement('water_level_percent', 1000)).toEqual({ quality: 'good', value: 100 });
    expect(decodeMeasurement('water_level_percent', 1001)).toEqual({
      quality: 'outOfRange',
      value: 100.1,
    });
    expect(decodeMeasurement('co2_ppm', 0xffff)).toEqual({ quality: 'absent' });
  });

  test('every word of every register decodes to something', () => {
    for (const [name, register] of Object.entries(MEASUREMENTS) as [
      keyof typeof MEASUREMENTS,
      MeasurementRegister,
    ][]) {
      for (let word = 0; word <= 0xffff; word += 1) {
        const reading = decodeMeasurement(name, word);
        if (reading.quality === 'good')
          expect(reading.value >= register.min && reading.value <= register.max).toBe(true);
      }
    }
  });
});
