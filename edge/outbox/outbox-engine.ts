/**
 * One file, one commit queue. Nothing is told to anybody before its commit was fsynced, and only the cloud's
 * acknowledgement trims.
 */
import assert from 'node:assert/strict';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import type { Ack } from '@waystation/protocol/uplink';
import type { Clock, MonoMs, Timer } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import type { Outbox } from '../ports.ts';
import type { Stamp } from '../time/stamp.ts';
import type { Ballast } from './ballast.ts';
import { createTable, type DurableTable, type StagedTable } from './durable-table.ts';
import { beginLanes, epochId, renewLanes, type Lanes } from './lanes.ts';
import { DamagedRow, troubleOf, type OutboxFile } from './outbox-file.ts';
import type { OutboxCounters, OutboxStore, OutboxStoreOptions } from './outbox-store.ts';
import { readMessage } from './reading.ts';
import { reclaim } from './reclaiming.ts';
import { openSalvage, type Salvage } from './salvage.ts';
import {
  createStation,
  rejectPending,
  writeAcks,
  writePending,
  type Station,
} from './station-log.ts';

const SAMPLE_GROUP = { records: 20, after_ms: 5_000 };
/** Space is reclaimed down to this part of the budget. */
const RECLAIM_TO = 0.95;
const NO_ROOM_RETRY_MS = 60_000;

/** A file, and the name of the damaged one it replaces. */
export interface Opened {
  file: OutboxFile;
  aside: string | null;
}

/** Damage is set aside; every other trouble is not the file's. */
export function isDamage(error: unknown): error is Error {
  return error instanceof DamagedRow || troubleOf(error) === 'corrupt';
}

export class OutboxEngine implements OutboxStore {
  readonly #options: Omit<OutboxStoreOptions, 'path'>;
  readonly #clock: Clock;
  readonly #ballast: Ballast;
  readonly #replace: (damage: Error) => Opened;
  readonly #stations = new Map<StationCode, Station>();
  readonly #tables = new Map<string, StagedTable>();
  readonly #dirty = new Set<Station>();
  readonly #new_offsets = new Map<string, number>();
  readonly #counters: OutboxCounters = {
    commits: 0,
    refused_commits: 0,
    samples_thinned: 0,
    samples_dropped: 0,
    epochs_begun: 0,
    files_set_aside: 0,
  };
  #file: OutboxFile;
  #salvage: Salvage | null = null;
  #offsets = new Map<string, number>();
  #urgent = false;
  #committed_at: MonoMs | null = null;
  #refusing = false;
  #group_timer: Timer | null = null;
  #lazy_timer: Timer | null = null;
  #over_budget = false;
  /** When making room last made none: not tried again at every event. */
  #no_room_at: MonoMs | null = null;
  #closed = false;

  constructor(
    options: Omit<OutboxStoreOptions, 'path'>,
    ballast: Ballast,
    open: () => Opened,
    replace: (damage: Error) => Opened,
  ) {
    this.#options = options;
    this.#clock = options.clock;
    this.#ballast = ballast;
    this.#replace = replace;
    const opened = open();
    this.#file = opened.file;
    this.#adopt(opened);
  }

  /** Takes over a file just opened, with what a damaged one before it still held. */
  #adopt({ file, aside }: Opened): void {
    this.#file = file;
    this.#salvage?.close();
    this.#salvage = aside === null ? null : openSalvage(aside);
    if (aside !== null) this.#counters.files_set_aside += 1;
    file.transaction(() => this.#salvage?.copyTables(file, this.#clock.wall()));
    this.#offsets = file.offsets();
  }

  #openLanes(code: StationCode, stamp: () => Stamp): Lanes {
    const event = this.#file.loadLane(code, 'event');
    const sample = this.#file.loadLane(code, 'sample');
    if (event && sample) return { event, sample };
    this.#counters.epochs_begun += 1;
    const reason = this.#counters.files_set_aside > 0 ? 'corrupt' : 'created';
    const salvaged = this.#salvage?.station(code, stamp()) ?? null;
    const epoch = epochId(this.#options.random);
    return this.#file.transaction(() =>
      beginLanes(this.#file, code, epoch, stamp(), reason, salvaged),
    );
  }

  outbox(code: StationCode, stamp: () => Stamp): Outbox {
    assert(!this.#stations.has(code), `the outbox of ${code} is open already`);
    const station = createStation(
      code,
      stamp,
      this.#run(() => this.#openLanes(code, stamp)),
    );
    this.#stations.set(code, station);
    return {
      appendEvent: (record) => this.#appendEvent(station, record),
      appendSample: (record) => this.#appendSample(station, record),
      read: (stream, after, limits) =>
        this.#run(() =>
          readMessage(this.#file, stream, station.lanes[stream], after, limits, this.#offsets),
        ),
      acknowledge: (ack) => this.#acknowledge(station, ack),
      position: (stream) => {
        const { epoch, acked, head } = station.lanes[stream];
        return { epoch, acked, head };
      },
      onAppend: (listener) => void station.listeners.add(listener),
      flush: () => this.flush(),
      close: () => {
        this.#tryCommit();
        this.#stations.delete(code);
      },
    };
  }

  table(name: string, limits: { rows: number }): DurableTable {
    assert(!this.#tables.has(name), `the table ${name} is open already`);
    const table = createTable(
      name,
      limits.rows,
      () => this.#file,
      () => this.#clock.wall(),
      () => this.#commitSoon(),
    );
    this.#tables.set(name, table);
    return table;
  }

  /** The first offset of a boot stands: a record sent again must bear the time under which it may be stored already. */
  setOffset(boot: string, offset_ms: number): void {
    if (this.#offsets.has(boot)) return;
    this.#offsets.set(boot, Math.round(offset_ms));
    this.#new_offsets.set(boot, Math.round(offset_ms));
    this.#commitLater();
  }

  async flush(): Promise<void> {
    const fault = this.#tryCommit();
    if (fault) throw fault;
  }

  counters(): Readonly<OutboxCounters> {
    return { ...this.#counters };
  }

  usedBytes(): number {
    return this.#file.usedBytes();
  }

  close(): void {
    if (this.#closed) return;
    this.#tryCommit();
    this.#closed = true;
    this.#group_timer?.stop();
    this.#lazy_timer?.stop();
    this.#file.close();
  }

  #appendEvent(station: Station, record: EventRecord): Promise<{ seq: number }> {
    assert(!this.#closed, 'the outbox is closed');
    return new Promise((resolve, reject) => {
      station.events.push({ record, resolve, reject });
      this.#dirty.add(station);
      this.#commitSoon();
    });
  }

  #appendSample(station: Station, record: SampleRecord): void {
    assert(!this.#closed, 'the outbox is closed');
    station.samples.push(record);
    this.#dirty.add(station);
    const group = this.#options.sample_group ?? SAMPLE_GROUP;
    const full = station.samples.length >= group.records;
    // After a quiet time there is no group to wait for: waiting would save no write and make the report late.
    const quiet = this.#clock.mono() - (this.#committed_at ?? -Infinity) >= group.after_ms;
    const due = (full || quiet) && !this.#refusing;
    if (due || this.#options.commit !== 'immediate') this.#commitSoon();
    else this.#commitLater();
  }

  #acknowledge(station: Station, ack: Ack): void {
    const lane = station.lanes[ack.stream];
    if (ack.epoch !== lane.epoch) return;
    if (ack.problem === 'fork' && ack.stream === 'event') return this.#renew(station, STREAMS);
    if (ack.problem === 'fork' || ack.through > lane.head) {
      return this.#renew(station, ack.stream === 'event' ? STREAMS : ['sample']);
    }
    if (ack.problem !== undefined || ack.through <= lane.acked) return; // not an answer to what this outbox holds
    lane.acked = ack.through;
    station.unsaved_acks.add(ack.stream);
    this.#dirty.add(station);
    this.#commitLater();
  }

  #commitSoon(): void {
    if (this.#urgent) return;
    this.#urgent = true;
    const { commit } = this.#options;
    if (commit === 'immediate') queueMicrotask(() => this.#tryCommit());
    else this.#group_timer = this.#clock.after(commit.grouped_ms, () => this.#tryCommit());
  }

  #commitLater(): void {
    if (this.#urgent || this.#lazy_timer !== null) return;
    const { after_ms } = this.#options.sample_group ?? SAMPLE_GROUP;
    this.#lazy_timer = this.#clock.after(after_ms, () => this.#tryCommit());
  }

  /** One transaction for everything staged. Returns the fault when the disk refuses; then events are rejected, the rest waits. */
  #tryCommit(): Fault | null {
    this.#urgent = false;
    this.#group_timer?.stop();
    this.#lazy_timer?.stop();
    this.#lazy_timer = null;
    const tables = [...this.#tables.values()].filter((table) => table.staged);
    if (
      this.#closed ||
      (this.#dirty.size === 0 && tables.length === 0 && this.#new_offsets.size === 0)
    )
      return null;
    const stations = [...this.#dirty];
    try {
      const settle = this.#run(() => this.#file.transaction(() => this.#write(stations, tables)));
      this.#dirty.clear();
      this.#new_offsets.clear();
      for (const table of tables) table.settle();
      const grown = settle.map((done) => done());
      this.#counters.commits += 1;
      this.#committed_at = this.#clock.mono();
      this.#refusing = false;
      this.#reclaimIfOver();
      this.#ballast.keep();
      stations.forEach((station, index) => this.#announce(station, grown[index] ?? []));
      return null;
    } catch (error) {
      if (!isFault(error)) throw error;
      this.#refused(stations, error);
      return error;
    }
  }

  #write(stations: readonly Station[], tables: readonly StagedTable[]): (() => Stream[])[] {
    const settle = stations.map((station) => writePending(this.#file, station));
    const now = this.#clock.wall();
    for (const [boot, offset_ms] of this.#new_offsets) this.#file.noteOffset(boot, offset_ms, now);
    for (const table of tables) table.write(this.#file, now);
    return settle;
  }

  #announce(station: Station, streams: readonly Stream[]): void {
    for (const stream of streams) for (const listener of station.listeners) listener(stream);
  }

  #refused(stations: readonly Station[], fault: Fault): void {
    this.#counters.refused_commits += 1;
    if (!this.#refusing) this.#options.log('error', 'outbox.full', { ...fault.facts });
    this.#refusing = true;
    for (const station of stations) rejectPending(station, fault);
    this.#commitLater();
  }

  /** A new epoch: the cloud holds another history than this station. What is not acknowledged goes with it. */
  #renew(station: Station, streams: readonly Stream[]): void {
    this.#tryCommit();
    const previous_epoch = station.lanes.event.epoch;
    const epoch = epochId(this.#options.random);
    try {
      station.lanes = this.#run(() =>
        this.#file.transaction(() =>
          renewLanes(this.#file, station.code, station.lanes, streams, epoch, station.stamp()),
        ),
      );
    } catch (error) {
      if (!isFault(error)) throw error;
      return; // the disk is full, as was told; the cloud's next answer brings us here again
    }
    for (const stream of streams) station.unsaved_acks.delete(stream);
    station.thin_from = 0;
    this.#counters.epochs_begun += 1;
    this.#options.log('notice', 'outbox.forked', { station: station.code, epoch, previous_epoch });
    this.#announce(station, streams);
  }

  /** Again after damage was set aside, or after room was made. Throws Fault OUTBOX_FULL when the disk still refuses. */
  #run<T>(work: () => T): T {
    for (const remedy of [() => this.#checkpoint(), () => this.#makeRoom()]) {
      try {
        return work();
      } catch (error) {
        if (isDamage(error)) this.#replaceFile(error);
        else if (troubleOf(error) !== 'refused') throw error;
        else if (!remedy()) throw this.#full(error);
      }
    }
    try {
      return work();
    } catch (error) {
      throw troubleOf(error) === 'refused' ? this.#full(error) : error;
    }
  }

  /** The log's room is the cheapest to give back: everything in it has a place in the file already. */
  #checkpoint(): boolean {
    try {
      this.#file.checkpoint();
    } catch (error) {
      if (troubleOf(error) !== 'refused') throw error; // else: making room comes next
    }
    return true;
  }

  #full(cause: unknown): Fault {
    return new Fault('OUTBOX_FULL', { used_bytes: this.#file.usedBytes() }, cause);
  }

  #replaceFile(damage: Error): void {
    this.#file.close();
    this.#adopt(this.#replace(damage));
    for (const station of this.#stations.values()) {
      station.lanes = this.#openLanes(station.code, station.stamp);
      station.unsaved_acks.clear();
      station.thin_from = 0;
      queueMicrotask(() => this.#announce(station, STREAMS));
    }
  }

  /**
   * The disk is full: gives up the ballast, and in that room trims what is acknowledged and drops the oldest samples.
   * True when the ballast is back: it is for trimming, and a new event that ate it would leave no way out.
   */
  #makeRoom(): boolean {
    const acknowledged = [...this.#stations.values()].some(
      ({ unsaved_acks }) => unsaved_acks.size > 0,
    );
    const now = this.#clock.mono();
    if (!acknowledged && this.#no_room_at !== null && now - this.#no_room_at < NO_ROOM_RETRY_MS)
      return false;
    let gave_way = false;
    this.#ballast.release();
    try {
      this.#file.transaction(() => {
        for (const station of this.#stations.values()) writeAcks(this.#file, station);
      });
      gave_way = this.#reclaim(this.#file.usedBytes() * RECLAIM_TO);
      this.#file.checkpoint();
    } catch (error) {
      if (troubleOf(error) !== 'refused') throw error; // else: somebody took even the ballast's room
    }
    const held = this.#ballast.restore();
    this.#no_room_at = held && (acknowledged || gave_way) ? null : now;
    return held;
  }

  #reclaimIfOver(): void {
    const over = this.#file.usedBytes() > this.#options.disk_budget_bytes;
    const event = over ? 'outbox.over_budget' : 'outbox.within_budget';
    if (over !== this.#over_budget) this.#options.log(over ? 'warn' : 'info', event);
    this.#over_budget = over;
    if (!over) return;
    try {
      this.#run(() => this.#reclaim(this.#options.disk_budget_bytes * RECLAIM_TO));
    } catch (error) {
      if (!isFault(error)) throw error; // else: the next commit meets the full disk and tells
    }
  }

  #reclaim(target_bytes: number): boolean {
    const { thinned, dropped } = reclaim(this.#file, this.#stations, target_bytes);
    this.#counters.samples_thinned += thinned;
    this.#counters.samples_dropped += dropped;
    return thinned + dropped > 0;
  }
}
