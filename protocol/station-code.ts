/**
 * The code of a station, printed on its door and used in every topic:
 * county (GB/T 2260, 6 digits) + township (3 digits) + kind (W or M) + number (4 digits) + check character.
 * The check character is ISO/IEC 7064 MOD 37,36: it finds every single
 * wrong character and all but 0.5 % of swapped neighbours.
 */
import { z } from 'zod';
import type { Brand } from './brand.ts';

export type StationCode = Brand<string, 'StationCode'>;

/** W: outdoor-worker station (户外劳动者服务站点). M: mom's room (妈妈小屋). */
export const STATION_KINDS = ['W', 'M'] as const;
export type StationKind = (typeof STATION_KINDS)[number];

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const SHAPE = /^[0-9]{9}[WM][0-9]{4}[0-9A-Z]$/;

/** ISO/IEC 7064:2003 MOD 37,36 hybrid system. `body` holds digits and upper-case letters only. */
export function checkCharacter(body: string): string {
  let product = 36;
  for (const character of body) {
    const sum = (product + ALPHABET.indexOf(character)) % 36 || 36;
    product = (sum * 2) % 37;
  }
  return ALPHABET.charAt((37 - product) % 36);
}

/** Builds a code from its parts: 9 digits of place (county and township), the kind, a number from 0 to 9999. */
export function stationCode(place: string, kind: StationKind, number: number): StationCode {
  const body = `${place}${kind}${String(number).padStart(4, '0')}`;
  const code = parseStationCode(body + checkCharacter(body));
  if (code === null) throw new RangeError(`not the parts of a station code: ${body}`);
  return code;
}

/** The code, or `null` when the shape or the check character is wrong. Never trims or changes case. */
export function parseStationCode(text: string): StationCode | null {
  if (!SHAPE.test(text)) return null;
  if (checkCharacter(text.slice(0, -1)) !== text.slice(-1)) return null;
  return text as StationCode;
}

export function stationKind(code: StationCode): StationKind {
  return code.charAt(9) === 'M' ? 'M' : 'W';
}

export const StationCodeSchema = z.string().transform((text, context): StationCode => {
  const code = parseStationCode(text);
  if (code !== null) return code;
  context.addIssue({
    code: 'custom',
    message: 'not a station code (15 characters, the last one a check character)',
  });
  return z.NEVER;
});
