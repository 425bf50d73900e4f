/** The province as this process knows it now: statuses, gateways, commands under way, and who looks on. */
import type { Kysely } from 'kysely';
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { outageLog, type Log } from '@waystation/runtime/log';
import { createCommandDesk, type CommandDesk } from './commands/desk.ts';
import type { Schema } from './database/schema.ts';
import { createGateways, type Gateways } from './gateway-link/gateways.ts';
import { applyPresence, type PresenceResult } from './gateway-link/presence.ts';
import { catchUp, needOfBirth, trustCommands } from './gateway-link/trust.ts';
import type { CommittedBatch } from './ingest/batch.ts';
import { createLiveHub, type HubMessage, type LiveHub } from './live/hub.ts';
import type { PublishedTrust } from './members/published-trust.ts';
import type { PresenceCounts } from './operations/readings.ts';
import { createStatusBoard, type StatusBoard } from './stations/board.ts';
import type { Directory } from './stations/directory.ts';
import { eventLine } from './stations/event-line.ts';
import { createStationWatch, type StationWatch } from './stations/watch.ts';

const LIVE_KEPT_MAX = 10_000;
const LIVE_PENDING_BYTES_MAX = 512 * 1024;
const SWEEP_MS = 2_000;
const RENEW_MS = 6 * 3_600_000;

export interface ProvinceParts {
  db: Kysely<Schema>;
  clock: Clock;
  log: Log;
  version: string;
  directory: Directory;
  trust: PublishedTrust;
  live_connections: number;
}

export interface Province {
  readonly hub: LiveHub;
  readonly gateways: Gateways;
  readonly board: StatusBoard;
  readonly watch: StationWatch;
  readonly desk: CommandDesk;
  readonly trust: PublishedTrust;
  readonly presence: PresenceCounts;
  /** A gateway told of births and deaths. */
  report(report: PresenceReport): Promise<PresenceResult>;
  /** Ingest has committed this. */
  committed(batch: CommittedBatch): void;
  /** A new key set or status list is out: every online station shall have it. */
  published(): void;
  start(): Promise<void>;
  stop(): void;
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
function newsOf(batch: CommittedBatch, directory: Directory): HubMessage[] {
  return batch.events.flatMap(({ station, epoch, seq, at, received_at, band, record }) => {
    const place = directory.placeOf(station);
    const entry = place === undefined ? undefined : directory.entries[place];
    if (entry === undefined || (band !== 'live' && band !== 'grace')) return [];
    const event = eventLine({ station, epoch, seq, at, received_at }, record);
    return [{ type: 'event', path: entry.path, event }];
  });
}

function count(counts: PresenceCounts, { taken, late, strangers }: PresenceResult): void {
  counts.taken += taken.length;
  counts.late += late;
  counts.strangers += strangers;
}

export function createProvince(parts: ProvinceParts): Province {
  const { db, clock, log, directory, trust } = parts;
  const background = createBackground(log, clock);
  const now = () => clock.wall();
  const hub = createLiveHub({
    directory,
    now,
    version: parts.version,
    first_sequence: clock.wall(),
    kept_max: LIVE_KEPT_MAX,
    connections_max: parts.live_connections,
    pending_bytes_max: LIVE_PENDING_BYTES_MAX,
  });
  const publish = (message: HubMessage) => hub.publish(message);
  const gateways = createGateways({
    clock,
    trustCommands: (need) => trustCommands(trust, need),
    moved: (gateway) => board.gatewayMoved(gateway),
    opened: (gateway) => background('gateway.resume', () => resume(gateway)),
  });
  const isGatewayHere = (gateway: string) => gateways.isHere(gateway);
  const board = createStatusBoard({ directory, now, isGatewayHere });
  const watch = createStationWatch({ db, directory, board, clock, log, publish });
  const desk = createCommandDesk({ db, clock, gateways, publish });
  const presence = { taken: 0, late: 0, strangers: 0 };
  let timers: Timer[] = [];

  async function resume(gateway: string): Promise<void> {
    await desk.resend(gateway);
    await catchUp({ db, gateways, published: trust.versions(), gateway });
  }
  const province: Province = {
    hub,
    gateways,
    board,
    watch,
    desk,
    trust,
    presence,
    async report(report) {
      const result = await applyPresence(db, report);
      count(presence, result);
      watch.touch(result.taken.map(({ station_id }) => station_id));
      for (const { station, presence } of result.taken) {
        const need = needOfBirth(presence, trust.versions());
        if (need !== null) gateways.need(report.gateway, station, need);
      }
      return result;
    },
    committed(batch) {
      watch.touch(batch.station_ids);
      for (const message of newsOf(batch, directory)) publish(message);
      background('commands.announce', () => desk.announce(batch.command_ids));
    },
    published() {
      const published = trust.versions();
      background('trust.publish', () => catchUp({ db, gateways, published, gateway: null }));
    },
    async start() {
      await watch.start();
      const renew = async () => (await trust.renew()) && province.published();
      timers = [
        clock.every(SWEEP_MS, () => background('commands.expire', () => desk.expire())),
        clock.every(RENEW_MS, () => background('trust.renew', renew)),
      ];
    },
    stop() {
      timers.forEach((timer) => timer.stop());
      watch.stop();
    },
  };
  return province;
}
