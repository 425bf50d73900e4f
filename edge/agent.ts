/**
 * One station's agent: joins door, reports, commands and uplink over ports. It holds no global,
 * so that a process may run one of them at a door or ten thousand of them as a fleet.
 */
import type { Device, EventRecord } from '@waystation/protocol/records';
import { INPUT_NAMES } from '@waystation/protocol/registers';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock, MonoMs, Timer } from '@waystation/runtime/clock';
import type { Log } from '@waystation/runtime/log';
import { CommandDesk } from './command/command-desk.ts';
import { createCommandJournal } from './command/command-journal.ts';
import { ATTEMPT_LIMIT } from './door/access.ts';
import { Door, type DoorSettings } from './door/door.ts';
import { ALWAYS_OPEN, type OpeningOverride } from './door/opening-policy.ts';
import { PORTAL_DEFAULTS } from './door/portal-settings.ts';
import { ROOM_DEFAULTS } from './door/room.ts';
import { createEventJournal, type EventJournal } from './event-journal.ts';
import type { DurableTable } from './outbox/durable-table.ts';
import type {
  CardVerifier,
  FieldIo,
  Inputs,
  Outbox,
  Reader,
  TrustStore,
  UplinkTransport,
} from './ports.ts';
import { type ContactBook, stepContacts } from './report/contacts.ts';
import {
  newReport,
  type Readings,
  REPORT_DEFAULTS,
  type Report,
  type ReportSettings,
  stepReport,
} from './report/report.ts';
import type { Stamp } from './time/stamp.ts';
import { startUplink, type Uplink } from './uplink/uplink.ts';

export interface AgentSettings {
  door: DoorSettings;
  report: ReportSettings;
}

/** A station of the plainest kind: open day and night, opens for a valid card even when the disk is full. */
export const AGENT_DEFAULTS: AgentSettings = {
  door: {
    portal: PORTAL_DEFAULTS,
    room: ROOM_DEFAULTS,
    access: { opening: ALWAYS_OPEN, limit: ATTEMPT_LIMIT },
    journal_failure: 'fail_open',
  },
  report: REPORT_DEFAULTS,
};

export type ClockEvent = Omit<Extract<EventRecord, { kind: 'clock' }>, keyof Stamp>;

export interface AgentOptions {
  station: StationCode;
  settings: AgentSettings;
  io: FieldIo;
  reader: Reader;
  verifier: CardVerifier;
  trust: TrustStore;
  outbox: Outbox;
  transport: UplinkTransport;
  /** Durable beside the outbox: mode, room and boot (`door`), executed orders (`orders`, more than JOURNAL_ROWS_MAX rows). */
  tables: { door: DurableTable; orders: DurableTable };
  clock: Clock;
  stamp: () => Stamp;
  /** Begins to tell of changes of the wall clock (edge/time/clock-watch.ts). */
  watchClock: (changed: (event: ClockEvent) => void) => { stop(): void };
  random: () => number;
  log: Log;
  software: string;
  /** A heat or cold alert in force. */
  override?: () => OpeningOverride | null;
}

/** The first snapshot waits this long for the field bus to say how things stand. */
const FIRST_LOOK_MS = 3_000;

export class Agent {
  readonly door: Door;
  readonly desk: CommandDesk;
  readonly journal: EventJournal;
  /** Resolves once the contacts are known (true), or did not come in time (false: the door cannot serve yet). */
  readonly firstLook: Promise<boolean>;
  readonly #options: AgentOptions;
  readonly #looked: (door_ready: boolean) => void;
  readonly #devices = new Map<Device, boolean>();
  #uplink: Uplink | null = null;
  #clock_watch: { stop(): void } | null = null;
  #first_look: Timer | null = null;
  #snapshot_due = false;
  #stopping = false;
  #inputs: Inputs | null = null;
  #measured = false;
  #contacts: ContactBook = {};
  #report: Report = newReport();
  #sampled_at = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.firstLook = promise;
    this.#looked = resolve;
    const { outbox, clock, log, tables, stamp, trust } = options;
    this.journal = createEventJournal(outbox, clock, log);
    this.door = new Door({
      station: options.station,
      settings: options.settings.door,
      io: options.io,
      reader: options.reader,
      verifier: options.verifier,
      journal: this.journal,
      kept: tables.door,
      clock,
      stamp,
      override: options.override ?? (() => null),
      log,
    });
    const orders = createCommandJournal(tables.orders);
    this.desk = new CommandDesk({
      door: this.door,
      trust,
      journal: this.journal,
      orders,
      clock,
      stamp,
      log,
    });
    options.io.onInputs((inputs, at) => this.#sense(inputs, at));
    options.io.onMeasurements((readings, at) => this.#measure(readings, at));
    options.io.onDevice((device, online, reason) => this.#device(device, online, reason));
    options.reader.onOnline((online, reason) => this.#device('reader', online, reason));
    options.reader.onLine((line, at) => this.door.scan(line, at));
  }

  /** The door serves from the first poll on; the uplink joins when it can. */
  start(): void {
    const { tables, stamp, software, clock, io, reader, outbox, transport, random, log, trust } =
      this.#options;
    const now = stamp();
    const previous_boot = tables.door.get('boot');
    tables.door.put('boot', now.boot);
    this.journal.note({
      kind: 'started',
      ...now,
      software,
      ...(previous_boot === null ? {} : { previous_boot }),
    });
    this.desk.start();
    this.#clock_watch = this.#options.watchClock((event) =>
      this.journal.note({ ...event, ...stamp() }),
    );
    this.#snapshot_due = true;
    this.#first_look = clock.after(FIRST_LOOK_MS, () => this.#snapshot());
    reader.start();
    io.start();
    this.#uplink = startUplink({
      outbox,
      transport,
      clock,
      random,
      log,
      about: () => ({ software, ...trust.versions() }),
      onCommand: (command) => this.desk.accept(command),
      onLive: () => this.#live(),
    });
  }

  /** Says goodbye upwards, lets go of the lines and makes everything durable. The outbox stays open. */
  async stop(): Promise<void> {
    const { io, reader, outbox } = this.#options;
    this.#stopping = true;
    this.#clock_watch?.stop();
    this.#first_look?.stop();
    await this.#uplink?.stop();
    await Promise.all([reader.stop(), io.stop()]);
    this.door.stop();
    await this.journal.stop();
    await outbox.flush();
  }

  /** `ready`: the contacts are known, so the door serves. */
  status(): {
    ready: boolean;
    uplink_live: boolean;
    devices: Readonly<Partial<Record<Device, boolean>>>;
  } {
    return {
      ready: this.#inputs !== null && this.#devices.get('controller') !== false,
      uplink_live: this.#uplink?.live ?? false,
      devices: Object.fromEntries(this.#devices),
    };
  }

  uplinkCounters(): ReturnType<Uplink['counters']> | null {
    return this.#uplink?.counters() ?? null;
  }

  #sense(inputs: Inputs, at: MonoMs): void {
    this.#inputs = inputs;
    this.door.sense(inputs);
    const { book, changes } = stepContacts(this.#contacts, inputs, at);
    this.#contacts = book;
    for (const { input, active } of changes) {
      this.journal.note({ kind: 'input', ...this.#options.stamp(), input, active });
    }
    if (this.#measured) this.#snapshotIfDue();
  }

  #measure(readings: Readings, at: MonoMs): void {
    const { settings, outbox, stamp } = this.#options;
    const { report, effects } = stepReport(this.#report, readings, at, settings.report);
    this.#report = report;
    for (const effect of effects) {
      if (effect.e === 'report') {
        outbox.appendSample({ kind: 'report', ...this.#risingStamp(), values: effect.values });
        continue;
      }
      const { device, name, broken } = effect;
      const reason = `sensor ${name} ${broken ? 'gives no usable value' : 'works again'}`;
      this.journal.note({ kind: 'device', ...stamp(), device, online: true, reason });
    }
    this.#measured = true;
    if (this.#inputs !== null) this.#snapshotIfDue();
  }

  #device(device: Device, online: boolean, reason: string): void {
    if (this.#stopping) return; // we let go of the lines: no device failed
    const before = this.#devices.get(device);
    this.#devices.set(device, online);
    // Found at the start: the first snapshot says so. Everything else is news.
    if (before !== undefined || !online || !this.#snapshot_due) {
      this.journal.note({
        kind: 'device',
        ...this.#options.stamp(),
        device,
        online,
        reason: reason.slice(0, 200),
      });
    }
    if (device !== 'controller') return;
    if (!online) this.#inputs = null;
    this.door.controller(online);
  }

  #live(): void {
    if (this.#first_look === null) this.#snapshot();
  }

  #snapshotIfDue(): void {
    if (this.#snapshot_due) this.#snapshot();
  }

  /** The whole station as it stands: what is not known is left out. */
  #snapshot(): void {
    const { stamp, software, trust } = this.#options;
    this.#first_look?.stop();
    this.#first_look = null;
    this.#snapshot_due = false;
    this.#looked(this.status().ready);
    const { portal, mode, room } = this.door.view();
    const inputs = this.#inputs;
    this.journal.note({
      kind: 'snapshot',
      ...stamp(),
      portal,
      mode,
      ...(room === null ? {} : { room }),
      inputs:
        inputs === null ? {} : Object.fromEntries(INPUT_NAMES.map((name) => [name, inputs[name]])),
      values: { ...this.#report.latest },
      devices: {
        controller: this.#devices.get('controller') ?? false,
        environment: this.#devices.get('environment') ?? false,
        reader: this.#devices.get('reader') ?? false,
      },
      software,
      ...trust.versions(),
    });
  }

  /**
   * Points of one station must never fall on the same millisecond: they would merge in a time-series store.
   * After a set clock time begins anew where the clock says.
   */
  #risingStamp(): Stamp {
    const now = this.#options.stamp();
    const behind_ms = this.#sampled_at - now.at;
    if (behind_ms >= 0 && behind_ms < SMALL_STEP_MS) now.at = this.#sampled_at + 1;
    this.#sampled_at = now.at;
    return now;
  }
}

/** A clock behind the last point by less than this is slewing; by more, it was set. */
const SMALL_STEP_MS = 60_000;

export function createAgent(options: AgentOptions): Agent {
  return new Agent(options);
}
