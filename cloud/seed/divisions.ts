/** Shandong's administrative divisions as the seed reads them: province, cities, counties and zones, townships. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const Row = z.tuple([z.string().regex(/^[0-9]{2,9}$/), z.string().min(1)]);
const Divisions = z.strictObject({
  source: z.string(),
  province: Row,
  cities: z.array(Row),
  counties: z.array(Row),
  townships: z.array(Row),
});

export interface Division {
  /** Code of the National Bureau of Statistics: 2, 4, 6 or 9 digits. */
  code: string;
  name: string;
}

export interface Divisions {
  province: Division;
  cities: Division[];
  counties: Division[];
  townships: Division[];
}

export function readDivisions(): Divisions {
  const text = readFileSync(new URL('./divisions.json', import.meta.url), 'utf8');
  const file = Divisions.parse(JSON.parse(text));
  const division = ([code, name]: readonly [string, string]): Division => ({ code, name });
  return {
    province: division(file.province),
    cities: file.cities.map(division),
    counties: file.counties.map(division),
    townships: file.townships.map(division),
  };
}

/** Development zones have townships but no polygon of their own: the county on whose land each of them lies. */
export const ZONE_HOSTS: Readonly<Record<string, string>> = {
  '370176': '370112',
  '370571': '370502',
  '370572': '370503',
  '370671': '370613',
  '370676': '370611',
  '370772': '370703',
  '370871': '370811',
  '371071': '371002',
  '371072': '371002',
  '371073': '371003',
  '371171': '371102',
  '371371': '371311',
  '371471': '371402',
  '371771': '371702',
  '371772': '371702',
};

/** The county whose polygon holds the stations of this county or zone. */
export function shapeCounty(county: string): string {
  return ZONE_HOSTS[county] ?? county;
}
