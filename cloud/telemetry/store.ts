/** What ingest and the pages need from a store of measurements, whichever product it is. */
import type { MeasurementName, Measurements } from '@waystation/protocol/registers';
import type { StationCode } from '@waystation/protocol/station-code';

/** What one report measured. Identity is (station, at): the same point again changes nothing, two with different fields merge. */
export interface TelemetryPoint {
  station: StationCode;
  station_id: number;
  /** The leaf organisation at the time of writing. */
  organisation_id: number;
  /** Wall time, ms. */
  at: number;
  values: Measurements;
}

/** A point the store will never take, and why. */
export interface RejectedPoint {
  point: TelemetryPoint;
  reason: string;
}

export interface SeriesQuery {
  station: StationCode;
  station_id: number;
  measurement: MeasurementName;
  /** Wall time, ms: from inclusive, to exclusive. */
  from: number;
  to: number;
  /** At most about so many points come back; more are joined to the mean of equal spans. */
  points_max: number;
}

/** Wall time in ms and value, oldest first. */
export type SeriesPoint = [at: number, value: number];

export interface TelemetryStore {
  readonly kind: 'influx' | 'sql';
  /**
   * Resolves when every point is durable, but those returned.
   * Rejects with Fault TELEMETRY_UNAVAILABLE: some or all may be stored; write the same points again.
   */
  write(points: readonly TelemetryPoint[]): Promise<readonly RejectedPoint[]>;
  /** Rejects with Fault TELEMETRY_UNAVAILABLE. */
  series(query: SeriesQuery): Promise<SeriesPoint[]>;
  close(): Promise<void>;
}

/** Stations report once a minute: spans up to this length are read as they are. */
const RAW_SPAN_MS = 60_000;

/** The span to join, or null to read the points as they are. */
export function seriesSpanMs(
  query: Pick<SeriesQuery, 'from' | 'to' | 'points_max'>,
): number | null {
  const span_ms = Math.ceil((query.to - query.from) / query.points_max);
  return span_ms <= RAW_SPAN_MS ? null : span_ms;
}
