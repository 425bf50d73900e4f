/** County polygons from the TopoJSON file, and whether a point lies inside one. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** Longitude and latitude in degrees. */
export type Point = readonly [number, number];
type Ring = readonly Point[];

export interface Shape {
  /** Polygons, each an outer ring and its holes. */
  polygons: readonly (readonly Ring[])[];
  /** West, south, east, north in degrees. */
  box: readonly [number, number, number, number];
}

const Pair = z.tuple([z.number(), z.number()]);
const Indices = z.array(z.int());
const properties = z.looseObject({ adcode: z.string() });
const Topology = z.object({
  type: z.literal('Topology'),
  arcs: z.array(z.array(Pair)),
  transform: z.strictObject({ scale: Pair, translate: Pair }),
  objects: z.object({
    counties: z.object({
      geometries: z.array(
        z.discriminatedUnion('type', [
          z.object({ type: z.literal('Polygon'), arcs: z.array(Indices), properties }),
          z.object({
            type: z.literal('MultiPolygon'),
            arcs: z.array(z.array(Indices)),
            properties,
          }),
        ]),
      ),
    }),
  }),
});
type Topology = z.output<typeof Topology>;

/** Arcs are delta-coded integers (TopoJSON 1.0, 2.1.3). */
function decodeArcs({ arcs, transform }: Topology): Point[][] {
  const { scale, translate } = transform;
  return arcs.map((arc) => {
    let x = 0;
    let y = 0;
    return arc.map(([dx, dy]): Point => {
      x += dx;
      y += dy;
      return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
    });
  });
}

/** Joins arcs into one ring; `~i` is arc i reversed, and neighbours share their joint (TopoJSON 1.0, 2.1.4). */
function joinRing(indices: readonly number[], arcs: readonly Ring[]): Ring {
  const ring: Point[] = [];
  for (const index of indices) {
    const arc = index < 0 ? (arcs[~index] ?? []).toReversed() : (arcs[index] ?? []);
    ring.push(...(ring.length === 0 ? arc : arc.slice(1)));
  }
  return ring;
}

function boxOf(polygons: Shape['polygons']): Shape['box'] {
  const points = polygons.flat(2);
  const longitudes = points.map(([longitude]) => longitude);
  const latitudes = points.map(([, latitude]) => latitude);
  return [
    Math.min(...longitudes),
    Math.min(...latitudes),
    Math.max(...longitudes),
    Math.max(...latitudes),
  ];
}

/** The shape of each county, by its 6-digit code. */
export function readCountyShapes(): Map<string, Shape> {
  const text = readFileSync(new URL('./counties.topo.json', import.meta.url), 'utf8');
  const topology = Topology.parse(JSON.parse(text));
  const arcs = decodeArcs(topology);
  const shapes = new Map<string, Shape>();
  for (const geometry of topology.objects.counties.geometries) {
    const parts = geometry.type === 'Polygon' ? [geometry.arcs] : geometry.arcs;
    const polygons = parts.map((rings) => rings.map((indices) => joinRing(indices, arcs)));
    shapes.set(geometry.properties.adcode, { polygons, box: boxOf(polygons) });
  }
  return shapes;
}

/** Even-odd rule over every ring, so that holes are outside. */
export function contains(shape: Shape, [x, y]: Point): boolean {
  const [west, south, east, north] = shape.box;
  if (x < west || x > east || y < south || y > north) return false;
  let inside = false;
  for (const ring of shape.polygons.flat()) {
    let previous = ring.at(-1);
    for (const point of ring) {
      if (previous && point[1] > y !== previous[1] > y) {
        const crossing =
          ((previous[0] - point[0]) * (y - point[1])) / (previous[1] - point[1]) + point[0];
        if (x < crossing) inside = !inside;
      }
      previous = point;
    }
  }
  return inside;
}
