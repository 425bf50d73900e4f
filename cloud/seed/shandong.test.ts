import { describe, expect, it } from 'vitest';
import { parseStationCode } from '@waystation/protocol/station-code';
import { contains, readCountyShapes } from './county-shapes.ts';
import { DEMO_STATION, DEMO_STATION_NAME } from './demo-station.ts';
import { readDivisions, shapeCounty, ZONE_HOSTS } from './divisions.ts';
import { apportion, shandongOrganisations, shandongStations } from './shandong.ts';

const stations = shandongStations(1);

describe('the seeded province', () => {
  it('has exactly 5,500 stations and 5,159 rooms, every code valid and its own', () => {
    expect(stations.filter(({ kind }) => kind === 'W')).toHaveLength(5500);
    expect(stations.filter(({ kind }) => kind === 'M')).toHaveLength(5159);
    expect(new Set(stations.map(({ code }) => code)).size).toBe(10_659);
    expect(stations.filter(({ code }) => parseStationCode(code) === null)).toEqual([]);
  });

  it('lays each station inside its county, a zone inside its host county', () => {
    const shapes = readCountyShapes();
    expect(shapes.size).toBe(136);
    const outside = stations.filter(({ county, longitude, latitude }) => {
      const shape = shapes.get(shapeCounty(county));
      return shape === undefined || !contains(shape, [longitude, latitude]);
    });
    expect(outside).toEqual([]);
  });

  it('knows known places: Jinan is in 历下, Qufu is not in 任城', () => {
    const shapes = readCountyShapes();
    const lixia = shapes.get('370102');
    const rencheng = shapes.get('370811');
    expect(lixia && contains(lixia, [117.076, 36.666])).toBe(true);
    expect(rencheng && contains(rencheng, [116.587, 35.415])).toBe(true);
    expect(rencheng && contains(rencheng, [116.986, 35.581])).toBe(false);
  });

  it('is the same for the same seed and another for another', () => {
    expect(shandongStations(1)).toEqual(stations);
    expect(shandongStations(2)[0]?.longitude).not.toBe(stations[0]?.longitude);
  });

  it('has the demo station with its name', () => {
    const demo = stations.find(({ code }) => code === DEMO_STATION);
    expect(demo).toMatchObject({ name: DEMO_STATION_NAME, county: '370811', city: '3708' });
  });

  it('never gives two stations of one township the same name', () => {
    const names = stations.map(({ township, name }) => `${township} ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('the organisation tree', () => {
  const organisations = shandongOrganisations();
  it('is the real one: a province, 16 cities, 151 counties and zones, 1,853 townships', () => {
    const count = (level: string) => organisations.filter((row) => row.level === level).length;
    expect(['province', 'city', 'county', 'township'].map(count)).toEqual([1, 16, 151, 1853]);
  });

  it('hangs every node under one that came before it', () => {
    const seen = new Set<string>();
    for (const { adcode, parent } of organisations) {
      if (parent !== null) expect(seen.has(parent)).toBe(true);
      seen.add(adcode);
    }
  });

  it('has a host county for every zone without a polygon', () => {
    const shapes = readCountyShapes();
    const { counties } = readDivisions();
    const zones = counties.filter(({ code }) => !shapes.has(code)).map(({ code }) => code);
    expect(zones).toEqual(Object.keys(ZONE_HOSTS));
    expect(Object.values(ZONE_HOSTS).filter((host) => !shapes.has(host))).toEqual([]);
  });
});

describe('apportion', () => {
  it('adds up and follows the weights', () => {
    expect(apportion(10, [1, 1, 1])).toEqual([4, 3, 3]);
    expect(apportion(7, [2, 1, 0.5])).toEqual([4, 2, 1]);
  });
});
