import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { checkCharacter, parseStationCode, stationCode, stationKind } from './station-code.ts';

const codes = fc
  .tuple(
    fc.integer({ min: 0, max: 999_999_999 }),
    fc.constantFrom('W' as const, 'M' as const),
    fc.integer({ min: 0, max: 9999 }),
  )
  .map(([place, kind, number]) => stationCode(String(place).padStart(9, '0'), kind, number));

describe('station code', () => {
  test('check characters of ISO 7064 MOD 37,36 as published for the Global Release Identifier', () => {
    expect(checkCharacter('A12425GABC1234002')).toBe('M');
    expect(checkCharacter('A12425GXYZ9876001')).not.toBe('M');
  });

  test('refuses every single wrong character', () => {
    const characters = fc.constantFrom(...Array.from('0123456789WMABZ'));
    fc.assert(
      fc.property(codes, fc.integer({ min: 0, max: 14 }), characters, (code, at, other) => {
        const changed = code.slice(0, at) + other + code.slice(at + 1);
        if (changed !== code) expect(parseStationCode(changed)).toBeNull();
      }),
    );
  });

  test('refuses nearly every swap of neighbours (the standard does not promise all)', () => {
    const tried = { swaps: 0, missed: 0 };
    for (let number = 0; number < 2000; number += 1) {
      const place = String((number * 333_667 + 370_811_002) % 1_000_000_000).padStart(9, '0');
      const code = stationCode(place, 'W', number);
      for (let at = 0; at < 14; at += 1) {
        const swapped =
          code.slice(0, at) + code.charAt(at + 1) + code.charAt(at) + code.slice(at + 2);
        if (swapped === code) continue;
        tried.swaps += 1;
        if (parseStationCode(swapped) !== null) tried.missed += 1;
      }
    }
    expect(tried.missed / tried.swaps).toBeLessThan(0.01);
  });

  test('reads back what it built; never trims, never changes case', () => {
    fc.assert(
      fc.property(codes, (code) => {
        expect(parseStationCode(code)).toBe(code);
        expect(parseStationCode(` ${code}`)).toBeNull();
        expect(parseStationCode(code.toLowerCase())).toBeNull();
        expect(['W', 'M']).toContain(stationKind(code));
      }),
    );
  });
});
