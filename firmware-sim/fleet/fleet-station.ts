/** One station of a fleet: simulated hardware on lines in memory, and the agent's own core on its other ends. */
import {
  AGENT_DEFAULTS,
  createAgent,
  type Agent,
  type AgentSettings,
} from '@waystation/edge/agent';
import { stationIo } from '@waystation/edge/bus/station-io';
import { createReplayGuard, memoryReplayTable } from '@waystation/edge/card/replay-guard';
import { createCardVerifier } from '@waystation/edge/card/verifier';
import type { Outbox, UplinkTransport } from '@waystation/edge/ports';
import { serialReader } from '@waystation/edge/reader/serial-reader';
import { SOFTWARE } from '@waystation/edge/software';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import type { Log } from '@waystation/runtime/log';
import { memoryStation } from '../device-line.ts';
import type { StationHardware } from '../station.ts';
import { DOOR_TIMING, type DoorTiming } from '../world.ts';
import type { SharedParts } from './shared-parts.ts';
import type { FleetConfig } from './config.ts';

/** A line in memory has no speed; this only sets the silence between frames. */
const BAUD = 115_200;
/** Sensors are read this many times a report at most, so that a report shows what is, not what was. */
const READS_PER_REPORT = 4;

export interface FleetStation {
  readonly code: StationCode;
  readonly hardware: StationHardware;
  readonly agent: Agent;
  readonly outbox: Outbox;
}

/** Polls, reports and door times that go together: a door polled slowly must stand open for long enough to be seen. */
export function fleetTiming(config: Pick<FleetConfig, 'poll_interval_ms' | 'report_interval_ms'>): {
  measurements_interval_ms: number;
  settings: AgentSettings;
  door: DoorTiming;
} {
  const { poll_interval_ms, report_interval_ms } = config;
  const measurements_interval_ms = Math.max(
    poll_interval_ms,
    report_interval_ms / READS_PER_REPORT,
  );
  const { portal } = AGENT_DEFAULTS.door;
  return {
    measurements_interval_ms,
    settings: {
      ...AGENT_DEFAULTS,
      door: {
        ...AGENT_DEFAULTS.door,
        portal: {
          ...portal,
          release_ms: Math.max(portal.release_ms, 3 * poll_interval_ms),
          egress_ms: Math.max(portal.egress_ms, 3 * poll_interval_ms),
          lock_fault_ms: Math.max(portal.lock_fault_ms, 3 * poll_interval_ms),
        },
      },
      report: {
        ...AGENT_DEFAULTS.report,
        // Half a read early: a read that comes a moment before the interval is over must not put the report off.
        heartbeat_ms: report_interval_ms - measurements_interval_ms / 2,
        interval_min_ms: report_interval_ms - measurements_interval_ms / 2,
      },
    },
    door: {
      egress_hold_ms: Math.max(DOOR_TIMING.egress_hold_ms, 1.5 * poll_interval_ms),
      closing_ms: Math.max(DOOR_TIMING.closing_ms, 2.5 * poll_interval_ms),
    },
  };
}

export function createFleetStation(parts: {
  code: StationCode;
  config: Pick<FleetConfig, 'poll_interval_ms' | 'report_interval_ms'>;
  shared: Pick<
    SharedParts,
    'outboxOf' | 'doorTable' | 'ordersTable' | 'stamp' | 'trust' | 'watchClock'
  >;
  transport: UplinkTransport;
  clock: Clock;
  /** Seeded: the hardware and its visitors. */
  random: () => number;
  /** Not seeded: the agent's sessions and jitter. */
  chance: () => number;
  log: Log;
}): FleetStation {
  const { code, config, shared, clock, random, log } = parts;
  const { stamp, trust } = shared;
  const timing = fleetTiming(config);
  const { hardware, field_bus, reader } = memoryStation({
    code,
    clock,
    random,
    timing: timing.door,
  });
  const outbox = shared.outboxOf(code);
  const agent = createAgent({
    station: code,
    settings: timing.settings,
    io: stationIo({
      line: field_bus,
      clock,
      random: parts.chance,
      log,
      baud: BAUD,
      release_ms: timing.settings.door.portal.release_ms,
      inputs_interval_ms: config.poll_interval_ms,
      measurements_interval_ms: timing.measurements_interval_ms,
    }),
    reader: serialReader({ line: reader, clock, log }),
    verifier: createCardVerifier({
      station: code,
      trust,
      replay: createReplayGuard(memoryReplayTable()),
      lastSynced: () => clock.wall(),
    }),
    trust,
    outbox,
    transport: parts.transport,
    tables: { door: shared.doorTable(code), orders: shared.ordersTable(code) },
    clock,
    stamp,
    watchClock: shared.watchClock,
    random: parts.chance,
    log,
    software: SOFTWARE,
  });
  return { code, hardware, agent, outbox };
}
