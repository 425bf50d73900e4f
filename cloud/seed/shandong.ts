/** The province as seed data: the organisation tree of the real divisions, and 5,500 + 5,159 synthetic stations. */
import { prng } from '@waystation/runtime/prng';
import {
  STATION_KINDS,
  stationCode,
  type StationCode,
  type StationKind,
} from '@waystation/protocol/station-code';
import { contains, readCountyShapes, type Point, type Shape } from './county-shapes.ts';
import { DEMO_STATION, DEMO_STATION_NAME } from './demo-station.ts';
import { readDivisions, shapeCounty, type Division } from './divisions.ts';
import { stationAddress, stationName } from './station-names.ts';

export type OrganisationLevel = 'province' | 'city' | 'county' | 'township';

export interface SeedOrganisation {
  /** Division code; a parent's code is a prefix of its children's. */
  adcode: string;
  parent: string | null;
  level: OrganisationLevel;
  name: string;
}

export interface SeedStation {
  code: StationCode;
  kind: StationKind;
  name: string;
  address: string;
  /** Division codes of the leaf organisation, its county (or zone) and its city. */
  township: string;
  county: string;
  city: string;
  longitude: number;
  latitude: number;
  seats: number;
}

/** Stations by city, [W, M]: the province's totals shared out by population (7th census). */
const CITY_SPLIT: Readonly<Record<string, readonly [number, number]>> = {
  '3701': [498, 467],
  '3702': [546, 512],
  '3703': [255, 239],
  '3704': [209, 196],
  '3705': [119, 111],
  '3706': [385, 361],
  '3707': [509, 477],
  '3708': [453, 425],
  '3709': [296, 278],
  '3710': [157, 148],
  '3711': [161, 151],
  '3713': [597, 560],
  '3714': [304, 285],
  '3715': [322, 302],
  '3716': [213, 200],
  '3717': [476, 447],
};

/** About 4 km of latitude: how far a township's stations lie from its middle. */
const TOWNSHIP_RADIUS_DEGREES = 0.035;
const TRIES_MAX = 2000;

export function shandongOrganisations(): SeedOrganisation[] {
  const { province, cities, counties, townships } = readDivisions();
  const row = (level: OrganisationLevel, parent_digits: number) => (division: Division) => ({
    adcode: division.code,
    parent: parent_digits === 0 ? null : division.code.slice(0, parent_digits),
    level,
    name: division.name,
  });
  return [
    row('province', 0)(province),
    ...cities.map(row('city', 2)),
    ...counties.map(row('county', 4)),
    ...townships.map(row('township', 6)),
  ];
}

/** Streets hold more stations than towns, towns more than villages' townships. */
function weightOf(township: string): number {
  if (township.endsWith('街道')) return 1.6;
  return township.endsWith('镇') ? 1 : 0.6;
}

/** Largest remainders: whole numbers in proportion to the weights that add up to `total`. */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (weight / sum) * total);
  const shares = exact.map(Math.floor);
  const left = total - shares.reduce((a, b) => a + b, 0);
  const order = exact.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (const position of order.slice(0, left)) shares[position] = (shares[position] ?? 0) + 1;
  return shares;

  function remainder(position: number): number {
    return (exact[position] ?? 0) % 1;
  }
}

/** Five decimals: one metre. Rounded before the test, so that the stored point is the tested one. */
function rounded(degrees: number): number {
  return Math.round(degrees * 1e5) / 1e5;
}

/** A point that `draw` proposes and the shape contains. */
function pointIn(shape: Shape, draw: () => Point): Point {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const [longitude, latitude] = draw();
    const point: Point = [rounded(longitude), rounded(latitude)];
    if (contains(shape, point)) return point;
  }
  throw new RangeError('no point found inside the county: its polygon is too small');
}

function middleOf(shape: Shape, random: () => number): Point {
  const [west, south, east, north] = shape.box;
  return pointIn(shape, () => [
    west + random() * (east - west),
    south + random() * (north - south),
  ]);
}

/** Around the middle, denser towards it, as shops around a market place. */
function placeNear(middle: Point, shape: Shape, random: () => number): Point {
  return pointIn(shape, () => {
    const radius = TOWNSHIP_RADIUS_DEGREES * random() ** 1.5;
    const angle = 2 * Math.PI * random();
    return [middle[0] + (radius * Math.cos(angle)) / 0.8, middle[1] + radius * Math.sin(angle)];
  });
}

interface Township {
  division: Division;
  county: Division;
  city: Division;
  shape: Shape;
}

function townshipStations(
  township: Township,
  counts: Readonly<Record<StationKind, number>>,
  seed: number,
): SeedStation[] {
  const { division, county, city, shape } = township;
  // A source of its own for each township: a change in one moves no station of another.
  const random = prng(seed ^ Number(division.code));
  const middle = middleOf(shape, random);
  const stations: SeedStation[] = [];
  for (const kind of STATION_KINDS) {
    const first_host = Math.floor(random() * 1000);
    for (let ordinal = 0; ordinal < counts[kind]; ordinal += 1) {
      const code = stationCode(division.code, kind, ordinal + 1);
      const [longitude, latitude] = placeNear(middle, shape, random);
      const invented = stationName(division.name, kind, { ordinal, first_host }, random);
      const address = stationAddress([city.name, county.name, division.name], random);
      const seats =
        kind === 'W' ? 6 + Math.floor(random() ** 2 * 30) : 1 + Math.floor(random() * 4);
      const name = code === DEMO_STATION ? DEMO_STATION_NAME : invented;
      stations.push({
        code,
        kind,
        name,
        address,
        township: division.code,
        county: county.code,
        city: city.code,
        longitude,
        latitude,
        seats,
      });
    }
  }
  return stations;
}

/** 10,659 stations, the same for the same seed, sorted by code; each lies inside its county's polygon. */
export function shandongStations(seed: number): SeedStation[] {
  const { cities, counties, townships } = readDivisions();
  const shapes = readCountyShapes();
  const stations: SeedStation[] = [];
  for (const city of cities) {
    const split = CITY_SPLIT[city.code];
    if (split === undefined) throw new RangeError(`no split for city ${city.code}`);
    const members: Township[] = [];
    for (const county of counties.filter(({ code }) => code.startsWith(city.code))) {
      const shape = shapes.get(shapeCounty(county.code));
      if (shape === undefined) throw new RangeError(`no polygon for county ${county.code}`);
      for (const division of townships.filter(({ code }) => code.startsWith(county.code))) {
        members.push({ division, county, city, shape });
      }
    }
    const weights = members.map(({ division }) => weightOf(division.name));
    const workers = apportion(split[0], weights);
    const mothers = apportion(split[1], weights.toReversed()).toReversed();
    members.forEach((township, i) => {
      const counts = { W: workers[i] ?? 0, M: mothers[i] ?? 0 };
      stations.push(...townshipStations(township, counts, seed));
    });
  }
  return stations.sort((a, b) => (a.code < b.code ? -1 : 1));
}
