/** A province on this machine: the service, and a fleet of stations with their own connections and a ledger. */
import { join } from 'node:path';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { requireMachine } from '@waystation/scripts/local/machine';
import { enrolVisitors } from '@waystation/scripts/local/member';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { connectSimulator, type Simulator } from '@waystation/scripts/local/simulator';
import type { StationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { z } from 'zod';
import { temporaryDirectory } from '../../servers/process.ts';
import { startService, type DoorCertificate, type Service } from '../service.ts';
import type { Until } from './audit.ts';
import { meter, type Usage } from './meter.ts';

/** Besides one connection a station: database, logs, reserve. */
const OPEN_FILES_RESERVE = 500;
/** Measured: an agent with its hardware and connection; the service with its stores. */
const MEMORY_MB_PER_STATION = 0.2;
const MEMORY_MB_SERVICE = 2_000;
const VISITORS = 200;
/** The national average of visits, times the records that one brings. */
export const EVENTS_PER_STATION_DAY = 149;
export const REPORT_INTERVAL_MS = 60_000;

const clock = systemClock();

const Totals = z.looseObject({
  stations: z.int(),
  started: z.int(),
  connected: z.int(),
  visits: z.int(),
  events: z.int(),
  events_acked: z.int(),
  samples: z.int(),
  samples_acked: z.int(),
  bytes_sent: z.number(),
  bytes_received: z.number(),
});
export type Totals = z.output<typeof Totals>;

const Position = z.tuple([z.string(), z.string(), z.int(), z.int(), z.string(), z.int(), z.int()]);
const Positions = z.object({ positions: z.array(Position) });
const Figures = z.object({ n: z.int(), p50_ms: z.int(), p99_ms: z.int(), max_ms: z.int() });
const Delays = z.object({ event: Figures, sample: Figures });

export interface StageOptions {
  stations: number;
  seed: number;
  scenario: 'ordinary' | 'lunch' | 'heat' | 'rain';
  /** First connections a second. */
  connect_per_s: number;
  poll_interval_ms: number;
  /** Beginnings a second after the first; the same when absent. */
  reconnect_per_s?: number;
  /** When the stage opens: as soon as the fleet begins to connect, or when all are (`connected`). */
  ready?: 'began' | 'connected';
  /** The cloud is stopped before the stations connect; `service.startCloud` brings it back. */
  cloud_away?: boolean;
  certificate?: ((directory: string) => Promise<DoorCertificate>) | undefined;
  /** Before the fleet starts: fills its directory with what stands there already. */
  prepare?: (fleet_dir: string, codes: readonly StationCode[]) => Promise<void>;
}

export interface Stage {
  readonly service: Service;
  readonly codes: readonly StationCode[];
  readonly ledger_path: string;
  totals(): Promise<Totals>;
  /** Where every stream stands now, as an audit takes it. */
  heads(): Promise<Until>;
  /** Resolves when everything durable at the call is acknowledged. Rejects after `within_ms`. */
  settled(until: Until, within_ms: number): Promise<void>;
  delays(): Promise<z.output<typeof Delays>>;
  newDelays(): Promise<void>;
  /** Processor and memory of each part from now on. */
  meter(): () => Usage;
  stop(): Promise<void>;
}

export function stationCodes(count: number): StationCode[] {
  return shandongStations(1)
    .slice(0, count)
    .map(({ code }) => code);
}

/** Throws Fault MACHINE_TOO_SMALL before anything is started, PART_MISSING. */
export async function openStage(options: StageOptions): Promise<Stage> {
  requireMachine({
    open_files: options.stations + OPEN_FILES_RESERVE,
    memory_mb: Math.ceil(options.stations * MEMORY_MB_PER_STATION) + MEMORY_MB_SERVICE,
  });
  const directory = temporaryDirectory('bench-province');
  const certificate = await options.certificate?.(directory.path);
  const service = await startService(directory.path, certificate).catch((error: unknown) => {
    directory.remove();
    throw error;
  });
  const close = async () => {
    await service.stop();
    directory.remove();
  };
  try {
    const codes = stationCodes(options.stations);
    const fleet_dir = join(directory.path, 'fleet');
    await options.prepare?.(fleet_dir, codes);
    const fleet = await startFleet(options, directory.path, fleet_dir, codes, service, certificate);
    const simulator = await connectSimulator(join(fleet_dir, 'simulator.sock'));
    return stageOf(service, codes, join(fleet_dir, 'ledger.jsonl'), fleet, simulator, async () => {
      simulator.close();
      await fleet.stop();
      await close();
    });
  } catch (error) {
    await close();
    throw error;
  }
}

async function startFleet(
  options: StageOptions,
  data_dir: string,
  fleet_dir: string,
  codes: readonly StationCode[],
  { keys, gateway_port, cloud_url, stopCloud }: Service,
  certificate: DoorCertificate | undefined,
): Promise<LocalProcess> {
  const cards_file = await enrolVisitors(fleet_dir, VISITORS, cloud_url, clock.wall());
  if (options.cloud_away) await stopCloud();
  return startProcess({
    name: 'fleet',
    entry: 'firmware-sim/fleet/main.ts',
    args: [],
    data_dir,
    node_flags: ['--max-semi-space-size=8'],
    ready_within_ms: 600_000,
    ready_event: options.ready === 'began' ? 'fleet.began' : 'ready',
    config: {
      stations: codes,
      data_dir: fleet_dir,
      gateway: certificate
        ? { url: `mqtts://127.0.0.1:${gateway_port}`, ca_file: certificate.ca_file }
        : { url: `mqtt://127.0.0.1:${gateway_port}` },
      token_key_file: keys.station_token_private_file,
      root_keys_file: keys.root_keys_file,
      cards_file,
      ledger_file: join(fleet_dir, 'ledger.jsonl'),
      scenario: options.scenario,
      report_interval_ms: REPORT_INTERVAL_MS,
      poll_interval_ms: options.poll_interval_ms,
      events_per_station_day: EVENTS_PER_STATION_DAY,
      connect_per_s: options.connect_per_s,
      ...(options.reconnect_per_s === undefined
        ? {}
        : { reconnect_per_s: options.reconnect_per_s }),
      seed: options.seed,
      log_level: 'info',
    },
  });
}

const LOOK_MS = 200;

function stageOf(
  service: Service,
  codes: readonly StationCode[],
  ledger_path: string,
  fleet: LocalProcess,
  simulator: Simulator,
  stop: () => Promise<void>,
): Stage {
  const report = (of: string) => simulator.ask({ do: 'report', of });
  const positions = async () => Positions.parse(await report('positions')).positions;
  return {
    service,
    codes,
    ledger_path,
    totals: async () => Totals.parse(await report('totals')),
    async heads() {
      const until = new Map<string, number>();
      for (const [station, event, head, , sample, sample_head] of await positions()) {
        until.set(`${station}/event/${event}`, head);
        until.set(`${station}/sample/${sample}`, sample_head);
      }
      return until;
    },
    async settled(until, within_ms) {
      const end = clock.mono() + within_ms;
      for (;;) {
        const behind = (await positions()).filter(
          ([station, event, , acked, sample, , sample_acked]) =>
            acked < (until.get(`${station}/event/${event}`) ?? 0) ||
            sample_acked < (until.get(`${station}/sample/${sample}`) ?? 0),
        );
        if (behind.length === 0) return;
        if (clock.mono() > end)
          throw new Error(
            `${behind.length} stations are not acknowledged after ${within_ms} ms, the first: ${behind[0]?.join(' ')}`,
          );
        await clock.sleep(LOOK_MS);
      }
    },
    delays: async () => Delays.parse(await report('delays')),
    async newDelays() {
      await report('newDelays');
    },
    meter: () =>
      meter(
        {
          gateway: service.gateway().child.pid ?? 0,
          cloud: service.cloud().child.pid ?? 0,
          postgres: service.postgres.pid,
          influxd: service.influx.pid,
          fleet: fleet.child.pid ?? 0,
        },
        () => clock.mono(),
      ),
    stop,
  };
}
