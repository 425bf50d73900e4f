/** What a fleet is told: which stations, where they connect, how busy they are. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { StationCodeSchema, type StationCode } from '@waystation/protocol/station-code';
import { parseConfig } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';
import { LEVELS } from '@waystation/runtime/log';
import { SCENARIOS } from '../demand.ts';

const path = z.string().min(1);
const STATIONS_MAX = 200_000;

const Codes = z
  .array(StationCodeSchema)
  .min(1)
  .max(STATIONS_MAX)
  .refine((codes) => new Set(codes).size === codes.length, 'a station stands here twice');

export const FleetConfig = z.strictObject({
  /** Their codes, or a file that holds them as a JSON array. */
  stations: z.union([Codes, z.strictObject({ file: path })]),
  /** Outbox, trust and control socket of all of them. */
  data_dir: path,
  gateway: z.strictObject({
    url: z.string().regex(/^mqtts?:\/\/[^/@]+$/, 'expected mqtt://host:port or mqtts://host:port'),
    ca_file: path.optional(),
  }),
  /** The private key that signs station tokens: a simulation mints its own, a station never could. */
  token_key_file: path,
  /** Absent: now. A broker that keeps passwords of its own was told the tokens before. */
  token_issued_at_s: z.int().min(0).optional(),
  root_keys_file: path,
  /** Holders whose visitors show a card; without them somebody inside opens. */
  cards_file: path.optional(),
  report_interval_ms: z.int().min(1_000).max(3_600_000).default(60_000),
  poll_interval_ms: z.int().min(100).max(60_000).default(1_000),
  /** Every durable record is written down here for an auditor, see ledger.ts; absent: nowhere. */
  ledger_file: path.optional(),
  /** What kind of day it is, see demand.ts. */
  scenario: z.enum(SCENARIOS).default('ordinary'),
  /** Mean of an ordinary day over all stations; each one has its own, log-normal. 0: nobody comes. */
  events_per_station_day: z.number().min(0).max(100_000).default(100),
  connect_per_s: z.number().min(0.1).max(5_000).default(200),
  /** Later connections; absent: as the first. */
  reconnect_per_s: z.number().min(0.1).max(50_000).optional(),
  seed: z.int().min(0).default(1),
  log_level: z.enum(LEVELS).default('info'),
});
export type FleetConfig = z.output<typeof FleetConfig>;

export const SAMPLE_CONFIG: z.input<typeof FleetConfig> = {
  stations: { file: '/var/lib/waystation-fleet/stations.json' },
  data_dir: '/var/lib/waystation-fleet',
  gateway: { url: 'mqtt://127.0.0.1:1883' },
  token_key_file: '/etc/waystation/station-token.private.pem',
  root_keys_file: '/etc/waystation/root-keys.json',
};

/** Throws Fault CONFIG_UNREADABLE. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path: file }, cause);
  }
}

/** Throws Fault CONFIG_UNREADABLE or CONFIG_INVALID. */
export function stationsOf(config: Pick<FleetConfig, 'stations'>): readonly StationCode[] {
  const { stations } = config;
  return 'file' in stations ? parseConfig(Codes, readText(stations.file), stations.file) : stations;
}
