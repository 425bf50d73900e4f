/** Which way round a border runs. */
import { geoArea } from 'd3-geo';
import type { Feature, GeoJsonProperties, Geometry, Polygon, MultiPolygon } from 'geojson';

/** d3-geo wants clockwise outer rings; a polygon the wrong way round covers the rest of the globe. */
export function wound<P extends GeoJsonProperties>(
  one: Feature<Geometry, P>,
): Feature<Geometry, P> {
  if (geoArea(one) <= 2 * Math.PI) return one;
  const { geometry } = one;
  if (geometry.type === 'Polygon')
    return {
      ...one,
      geometry: {
        ...geometry,
        coordinates: geometry.coordinates.map((ring) => [...ring].reverse()),
      } satisfies Polygon,
    };
  if (geometry.type === 'MultiPolygon') {
    return {
      ...one,
      geometry: {
        ...geometry,
        coordinates: geometry.coordinates.map((polygon) =>
          polygon.map((ring) => [...ring].reverse()),
        ),
      } satisfies MultiPolygon,
    };
  }
  return one;
}
