/** The province's cities and counties: borders and names (a sketch, replaceable as one file). */
import type { GeometryCollection, Topology } from 'topojson-specification';
import borders from './borders.topo.json';

export type Borders = Topology<{
  counties: GeometryCollection<{ name: string; city: string; adcode: string }>;
  cities: GeometryCollection<{ name: string; city: string }>;
}>;

export const BORDERS = borders as unknown as Borders;

const { counties, cities } = BORDERS.objects;
const city_names = new Map(
  cities.geometries.flatMap(({ properties: city }) =>
    city && 'city' in city ? [[city.city, city.name]] : [],
  ),
);
const county_names = new Map(
  counties.geometries.flatMap(({ properties: county }) =>
    county && 'adcode' in county
      ? [[county.adcode, `${city_names.get(county.city) ?? ''}${county.name}`]]
      : [],
  ),
);

/** `济宁市任城区`; a development zone has no border of its own and gets its city's name, else the code itself. */
export function districtName(adcode: string): string {
  return county_names.get(adcode) ?? city_names.get(`${adcode.slice(0, 4)}00`) ?? adcode;
}
