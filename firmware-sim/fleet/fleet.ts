/** The stations of a province in one process: the agent's core, thousands of times, each on its own simulated hardware. */
import { mqttTransport } from '@waystation/edge/uplink/mqtt-transport';
import { stationKind, type StationCode } from '@waystation/protocol/station-code';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import type { Clock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { LEVELS, type Log } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { demandOf } from '../demand.ts';
import type { StationHardware } from '../station.ts';
import { visitsPerDay } from '../visitors.ts';
import { readCardHolders, type CardHolders } from './card-holders.ts';
import { openSharedParts, type SharedParts } from './shared-parts.ts';
import { stationsOf, type FleetConfig } from './config.ts';
import type { DelayFigures } from './delays.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { connectGate, gatedTransport } from './connect-gate.ts';
import { createFleetStation, type FleetStation } from './fleet-station.ts';
import { EVENTS_PER_VISIT, startVisits, type Visits } from './visits.ts';

/** Mean visits a day of the load model over stations of both kinds: what `events_per_station_day` is measured against. */
const MODEL_SAMPLES = 4_000;
/** Goodbyes of ten thousand stations take a while: after this the last wills speak for the rest. */
const STOP_MS = 3_000;
const GOODBYES_A_TURN = 50;

const KEEPALIVE_S = 300;
const CONNECT_TIMEOUT_MS = 20_000;

export interface FleetTotals {
  stations: number;
  started: number;
  connected: number;
  visits: number;
  /** Newest record of every outbox, summed, and how much of it is acknowledged. */
  events: { head: number; acked: number };
  samples: { head: number; acked: number };
}

export interface Fleet {
  /** Grows while the fleet starts. */
  readonly hardware: ReadonlyMap<StationCode, StationHardware>;
  totals(): FleetTotals;
  /** Where every station's streams stand: [station, event epoch, head, acked, sample epoch, head, acked]. */
  positions(): (string | number)[][];
  /** From a record's making to its acknowledgement back at the station, since `clearDelays`; null without a ledger. */
  delays(): Record<Stream, DelayFigures | null>;
  clearDelays(): void;
  /** Starts one station after the other at the configured rate. Resolves when all are started. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A fleet's stations speak of themselves only when a feature of theirs is down; the rest is `debug`. */
function stationLog(log: Log, station: StationCode): Log {
  const error = LEVELS.indexOf('error');
  return (level, event, facts) =>
    log(LEVELS.indexOf(level) >= error ? level : 'debug', event, { station, ...facts });
}

/** The same parts, with every outbox on the ledger. */
function watchedBy(ledger: Ledger | null, shared: SharedParts): SharedParts {
  if (ledger === null) return shared;
  return { ...shared, outboxOf: (station) => ledger.watch(station, shared.outboxOf(station)) };
}

/** Visits a day that bring the configured number of events, spread over stations as the load model has it. */
function visitScale(
  codes: readonly StationCode[],
  events_per_station_day: number,
  random: () => number,
): number {
  let visits = 0;
  for (let draw = 0; draw < MODEL_SAMPLES; draw++) {
    const code = codes[draw % codes.length];
    if (code !== undefined) visits += visitsPerDay(stationKind(code), random);
  }
  return events_per_station_day / EVENTS_PER_VISIT / (visits / MODEL_SAMPLES);
}

/** Stops the agents, a few in each turn of the loop, for as long as there is time. */
async function sayGoodbye(stations: readonly FleetStation[], clock: Clock): Promise<void> {
  const until = clock.mono() + STOP_MS;
  const said: Promise<void>[] = [];
  for (const { agent } of stations) {
    if (clock.mono() > until) break;
    said.push(agent.stop());
    if (said.length % GOODBYES_A_TURN === 0) await clock.sleep(0);
  }
  await Promise.all(said);
}

/**
 * The world is seeded by the configuration; `chance` is for what must never come twice (epochs, sessions, jitter).
 * Throws what `openSharedParts` and `readCardHolders` throw.
 */
export function createFleet(
  config: FleetConfig,
  clock: Clock,
  chance: () => number,
  log: Log,
): Fleet {
  const random = prng(config.seed);
  const codes = stationsOf(config);
  const holders: CardHolders | null =
    config.cards_file === undefined ? null : readCardHolders(config.cards_file, random);
  const shared = openSharedParts(config, codes, clock, chance, log);
  const ending = new AbortController();
  const gate = connectGate(clock, config.reconnect_per_s ?? config.connect_per_s, ending.signal);
  const start_gate = connectGate(clock, config.connect_per_s, ending.signal);
  const ledger = config.ledger_file === undefined ? null : openLedger(config.ledger_file, clock);
  const demand = demandOf(config.scenario, clock.wall());
  const scale = visitScale(codes, config.events_per_station_day, random);
  const stations: FleetStation[] = [];
  const hardware = new Map<StationCode, StationHardware>();
  const visits: Visits[] = [];

  const startOne = (code: StationCode) => {
    const own_random = prng(Math.floor(random() * 2 ** 32));
    const station_log = stationLog(log, code);
    const transport = mqttTransport({
      url: config.gateway.url,
      station: code,
      password: () => shared.tokenFor(code),
      clock,
      log: station_log,
      tls: shared.tls,
      keepalive_s: KEEPALIVE_S,
      connect_timeout_ms: CONNECT_TIMEOUT_MS,
    });
    const station = createFleetStation({
      code,
      config,
      shared: watchedBy(ledger, shared),
      transport: gatedTransport(transport, gate),
      clock,
      random: own_random,
      chance,
      log: station_log,
    });
    stations.push(station);
    hardware.set(code, station.hardware);
    station.agent.start();
    visits.push(
      startVisits({
        hardware: station.hardware,
        visits_per_day: scale * visitsPerDay(stationKind(code), own_random),
        clock,
        random: own_random,
        demand,
        present: holders === null ? undefined : (wall) => holders.present(wall),
      }),
    );
  };

  return {
    hardware,
    totals() {
      const sums = { event: { head: 0, acked: 0 }, sample: { head: 0, acked: 0 } };
      let connected = 0;
      for (const { agent, outbox } of stations) {
        if (agent.status().uplink_live) connected += 1;
        for (const stream of STREAMS) {
          const { head, acked } = outbox.position(stream);
          sums[stream].head += head;
          sums[stream].acked += acked;
        }
      }
      return {
        stations: codes.length,
        started: stations.length,
        connected,
        visits: visits.reduce((sum, visit) => sum + visit.count, 0),
        events: sums.event,
        samples: sums.sample,
      };
    },
    positions: () =>
      stations.map(({ code, outbox }) => {
        const [event, sample] = [outbox.position('event'), outbox.position('sample')];
        return [
          code,
          event.epoch,
          event.head,
          event.acked,
          sample.epoch,
          sample.head,
          sample.acked,
        ];
      }),
    delays: () => ledger?.delays() ?? { event: null, sample: null },
    clearDelays: () => ledger?.clearDelays(),
    async start() {
      for (const code of codes) {
        try {
          await start_gate.pass();
        } catch (error) {
          if (!isFault(error, 'UPLINK_LOST')) throw error;
          return; // stopped while starting
        }
        startOne(code);
      }
    },
    async stop() {
      ending.abort();
      for (const visit of visits) visit.stop();
      const patience = new AbortController();
      const enough = clock.sleep(STOP_MS, patience.signal);
      await Promise.race([sayGoodbye(stations, clock), enough]);
      patience.abort();
      shared.close();
      ledger?.close();
    },
  };
}
