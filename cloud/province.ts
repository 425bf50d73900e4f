/** The province as this process knows it now: statuses, gateways, commands under way, and who looks on. */
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import { createCommandDesk, type CommandDesk } from './commands/desk.ts';
import type { Database } from './database/open.ts';
import type { TrustNeed } from './gateway-link/downlink.ts';
import { createGateways, type Gateways } from './gateway-link/gateways.ts';
import { applyPresence, type PresenceResult } from './gateway-link/presence.ts';
import { catchUp, needOfBirth, trustCommands } from './gateway-link/trust.ts';
import type { CommittedBatch } from './ingest/batch.ts';
import { createLiveHub, firstSequence, type HubMessage, type LiveHub } from './live/hub.ts';
import type { PublishedTrust } from './members/published-trust.ts';
import type { PresenceCounts } from './operations/readings.ts';
import type { Bulletin } from './peers/bulletin.ts';
import { createExchange, type Exchange } from './peers/exchange.ts';
import { createStatusBoard, type StatusBoard } from './stations/board.ts';
import type { Directory } from './stations/directory.ts';
import { eventLine } from './stations/event-line.ts';
import { createStationWatch, type StationWatch } from './stations/watch.ts';

const LIVE_KEPT_MAX = 10_000;
const LIVE_PENDING_BYTES_MAX = 512 * 1024;
const SWEEP_MS = 2_000;
const RENEW_MS = 6 * 3_600_000;

export interface ProvinceParts {
  database: Database;
  clock: Clock;
  log: Log;
  version: string;
  directory: Directory;
  trust: PublishedTrust;
  live_connections: number;
  /** Of this process among the clouds of its database, new at every start. */
  id: string;
  /** The number of this start; see `nextLife`. */
  life: number;
}

export interface Province {
  readonly hub: LiveHub;
  readonly gateways: Gateways;
  readonly board: StatusBoard;
  readonly watch: StationWatch;
  readonly desk: CommandDesk;
  readonly trust: PublishedTrust;
  readonly presence: PresenceCounts;
  /** The other clouds on this database. */
  readonly peers: Exchange;
  /** A gateway told of births and deaths. */
  report(report: PresenceReport): Promise<PresenceResult>;
  /** Ingest has committed this. */
  committed(batch: CommittedBatch): void;
  /** A new key set or status list is out: every online station shall have it. */
  published(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs what nobody waits for; a failure is told once, and the next occasion tries again. */
function createBackground(log: Log, clock: Clock) {
  const outages = new Map<string, ReturnType<typeof outageLog>>();
  return (event: string, work: () => Promise<unknown>): void => {
    const outage = outages.get(event) ?? outageLog(log, clock, `${event}-failed`, `${event}-works`);
    outages.set(event, outage);
    work().then(
      () => outage.worked(),
      (error: unknown) =>
        outage.failed({ problem: error instanceof Error ? error.message : String(error) }),
    );
  };
}

/** What came in time is shown as it happens; a backlog that drains is history, not news. */
function newsOf(batch: CommittedBatch, directory: Directory): Bulletin['events'] {
  return batch.events.flatMap(({ station, epoch, seq, at, received_at, band, record }) => {
    const place = directory.placeOf(station);
    const entry = place === undefined ? undefined : directory.entries[place];
    if (entry === undefined || (band !== 'live' && band !== 'grace')) return [];
    const event = eventLine({ station, epoch, seq, at, received_at }, record);
    return [{ path: entry.path, event }];
  });
}

function count(counts: PresenceCounts, { taken, late, strangers }: PresenceResult): void {
  counts.taken += taken.length;
  counts.late += late;
  counts.strangers += strangers;
}

export function createProvince(parts: ProvinceParts): Province {
  const { database, clock, log, directory, trust } = parts;
  const { db } = database;
  const background = createBackground(log, clock);
  const now = () => clock.wall();
  const hub = createLiveHub({
    directory,
    now,
    version: parts.version,
    first_sequence: firstSequence(parts.life),
    kept_max: LIVE_KEPT_MAX,
    connections_max: parts.live_connections,
    pending_bytes_max: LIVE_PENDING_BYTES_MAX,
  });
  const publish = (message: HubMessage) => hub.publish(message);
  const gateways = createGateways({
    clock,
    trustCommands: (need) => trustCommands(trust, need),
    moved(gateway) {
      board.gatewayMoved(gateway);
      peers.moved(gateway);
    },
    opened: (gateway) => background('gateway.resume', () => resume(gateway)),
    shut: (gateway) => peers.tell({ reaches: [gateway] }),
  });
  const peers = createExchange({
    database,
    clock,
    log,
    id: parts.id,
    reaches: () => gateways.reaches(),
    heard: (bulletin) => hear(bulletin),
    missed,
    reachMoved: (gateway) => board.gatewayMoved(gateway),
  });
  const isGatewayHere = (gateway: string) => gateways.isHere(gateway) || peers.isReached(gateway);
  const board = createStatusBoard({ directory, now, isGatewayHere });
  const watch = createStationWatch({ db, directory, board, clock, log, publish });
  const tell = (news: Partial<Bulletin>) => peers.tell(news);
  const desk = createCommandDesk({ db, clock, gateways, isGatewayHere, tell, publish });
  const presence = { taken: 0, late: 0, strangers: 0 };
  let timers: Timer[] = [];

  async function resume(gateway: string): Promise<void> {
    await desk.resend(gateway);
    await catchUp({ db, gateways, published: trust.versions(), gateway });
  }
  function need(reach: string, station: StationCode, need: TrustNeed): void {
    gateways.need(reach, station, need);
    if (!gateways.isOpen(reach)) peers.tell({ needs: [{ reach, station, ...need }] });
  }
  /** To all stations with a gateway here, by what their records said. */
  const catchUpHere = () => catchUp({ db, gateways, published: trust.versions(), gateway: null });
  async function hearOfTrust(): Promise<void> {
    await trust.reload();
    await catchUpHere();
  }
  async function hear({ stations, events, commands, orders, needs, reaches, trust }: Bulletin) {
    watch.touch(stations);
    for (const event of events) publish({ type: 'event', ...event });
    for (const { reach, station, ...need } of needs) gateways.need(reach, station, need);
    if (orders.length > 0) background('commands.deliver', () => desk.deliver(orders));
    if (commands.length > 0) background('commands.announce', () => desk.announce(commands));
    for (const reach of reaches)
      if (gateways.isOpen(reach)) background('gateway.resume', () => resume(reach));
    if (trust) background('trust.publish', hearOfTrust);
  }
  /** Another cloud has died, or could not tell: whatever it told before, the tables say now. */
  function missed(): void {
    watch.touchAll();
    publish({ type: 'resync' });
    background('trust.publish', hearOfTrust);
    for (const reach of gateways.reaches())
      if (gateways.isOpen(reach)) background('gateway.resume', () => resume(reach));
  }
  const province: Province = {
    hub,
    gateways,
    board,
    watch,
    desk,
    trust,
    presence,
    peers,
    async report(report) {
      const result = await applyPresence(db, report);
      count(presence, result);
      const stations = result.taken.map(({ station_id }) => station_id);
      watch.touch(stations);
      peers.tell({ stations });
      for (const { station, presence } of result.taken) {
        const lacking = needOfBirth(presence, trust.versions());
        if (lacking !== null) need(report.gateway, station, lacking);
      }
      return result;
    },
    committed(batch) {
      watch.touch(batch.station_ids);
      const events = newsOf(batch, directory);
      for (const event of events) publish({ type: 'event', ...event });
      const { station_ids, command_ids } = batch;
      peers.tell({ stations: [...station_ids], events, commands: [...command_ids] });
      background('commands.announce', () => desk.announce(command_ids));
    },
    published() {
      background('trust.publish', catchUpHere);
      peers.tell({ trust: true });
    },
    async start() {
      // First the others know that they have to tell, then everything is read: nothing falls in between.
      await peers.start();
      await watch.start();
      const renew = async () => (await trust.renew()) && province.published();
      timers = [
        clock.every(SWEEP_MS, () => background('commands.expire', () => desk.expire())),
        clock.every(RENEW_MS, () => background('trust.renew', renew)),
      ];
    },
    async stop() {
      timers.forEach((timer) => timer.stop());
      watch.stop();
      await peers.stop();
    },
  };
  return province;
}
