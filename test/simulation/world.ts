/** A station, a gateway and a cloud in simulated time: the real outbox, session and cursor, everything between them hostile. */
import { DatabaseSync } from 'node:sqlite';
import { stepCursor, throughOf, type StreamCursor } from '@waystation/cloud/ingest/cursor';
import { outboxFileOn } from '@waystation/edge/outbox/outbox-file';
import { outboxStoreOn, type OutboxStore } from '@waystation/edge/outbox/outbox-store';
import type { Outbox, UplinkSession, UplinkTransport } from '@waystation/edge/ports';
import { startUplink } from '@waystation/edge/uplink/uplink';
import type { EventRecord, SampleRecord, StationRecord } from '@waystation/protocol/records';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import { Ack, UplinkMessage } from '@waystation/protocol/uplink';
import { Fault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { SimClock } from './sim-clock.ts';

export interface Weather {
  loss: number;
  duplicate: number;
  delay_ms: number;
  refuse_connect: number;
  /** Mean time between failures of each part. */
  session_ms: number;
  station_ms: number;
  gateway_ms: number;
  cloud_ms: number;
  disk_budget_bytes: number;
  restore_disk: boolean;
}

export interface Row {
  epoch: string;
  seq: number;
  span: number;
  record: StationRecord;
}

interface Life {
  alive: boolean;
  store: OutboxStore;
  outbox: Outbox;
  samples_before: number;
  samples: SampleRecord[];
}

/** What the oracle knows: what a station was asked to keep and what it promised, never how. */
export interface Ledger {
  produced: Map<string, EventRecord>;
  promised: Set<string>;
  /** Samples that were durable when each life ended, in order. */
  samples: SampleRecord[];
  restored: boolean;
}

interface Frame {
  station: StationCode;
  stream: Stream;
  text: string;
}

function spanOf(record: StationRecord): number {
  return 'span' in record ? (record.span ?? 1) : 1;
}

export class World {
  readonly clock = new SimClock();
  readonly random: () => number;
  readonly weather: Weather;
  readonly stations: SimStation[];
  readonly counts = { lost: 0, duplicated: 0, crashes: 0, gaps: 0, forks: 0, known: 0, messages: 0, thinned: 0, dropped: 0 };
  readonly rows = new Map<string, Row[]>();
  healed = false;
  #cursors = new Map<string, StreamCursor>();
  #cloud_up = true;
  #gateway_up = true;
  #pending: Frame[] = [];
  #flushing = false;

  constructor(seed: number, weather: Weather, stations: number) {
    this.random = prng(seed);
    this.weather = weather;
    this.stations = Array.from({ length: stations }, (_, n) => new SimStation(this, stationCode('370102001', 'W', n)));
    this.outages(weather.gateway_ms, (up) => {
      this.#gateway_up = up;
      if (!up) this.#pending = [];
      if (!up) for (const station of this.stations) station.cut('gateway restarts');
    });
    this.outages(weather.cloud_ms, (up) => (this.#cloud_up = up));
  }

  chance(probability: number): boolean {
    return !this.healed && this.random() < probability;
  }

  /** A time around `mean_ms`, mostly shorter, sometimes much longer. */
  spread(mean_ms: number): number {
    return -Math.log(1 - this.random()) * mean_ms;
  }

  outages(mean_ms: number, set: (up: boolean) => void): void {
    const fail = () => {
      if (this.healed) return;
      this.counts.crashes += 1;
      set(false);
      this.clock.after(this.spread(mean_ms / 8), () => {
        set(true);
        this.clock.after(this.spread(mean_ms), fail);
      });
    };
    this.clock.after(this.spread(mean_ms), fail);
  }

  /** Carries something over the network: late, twice, or not at all; later things may overtake it. */
  carry(deliver: () => unknown): void {
    if (this.chance(this.weather.loss)) {
      this.counts.lost += 1;
      return;
    }
    this.clock.after(this.spread(this.weather.delay_ms), () => void deliver());
    if (this.chance(this.weather.duplicate)) {
      this.counts.duplicated += 1;
      this.clock.after(this.spread(this.weather.delay_ms * 10), () => void deliver());
    }
  }

  get gatewayUp(): boolean {
    return this.#gateway_up;
  }

  /** The gateway: collects for a few milliseconds, posts, forgets. */
  arrive(frame: Frame): void {
    if (!this.#gateway_up) return;
    this.#pending.push(frame);
    if (this.#flushing) return;
    this.#flushing = true;
    this.clock.after(5, () => {
      this.#flushing = false;
      const batch = this.#pending.splice(0);
      this.clock.after(this.spread(10), () => this.post(batch));
    });
  }

  private post(batch: readonly Frame[]): void {
    if (!this.#cloud_up) return;
    if (this.chance(0.01)) return; // the transaction rolls back
    const acks = batch.map((frame) => this.commit(frame));
    if (this.chance(0.02)) return; // committed, and the answer is lost with the process
    for (const [index, frame] of batch.entries()) {
      const station = this.stations.find(({ code }) => code === frame.station);
      const ack = acks[index];
      const disk = station?.disk;
      if (station && ack) this.carry(() => station.disk === disk && station.receive(ack));
    }
  }

  /** The cloud's transaction for one message: the real cursor decides, rows are kept in order. */
  private commit({ station, stream, text }: Frame): string {
    const message = UplinkMessage.parse(JSON.parse(text));
    const key = `${station}/${stream}`;
    const records = message.records as StationRecord[];
    const cursor = this.#cursors.get(key) ?? { station, stream, epochs: [] };
    const step = stepCursor(cursor, {
      epoch: message.epoch,
      first: message.first,
      previous_hash: message.previous_hash,
      records: records.map((record) => ({ span: spanOf(record), json: JSON.stringify(record) })),
    });
    this.#cursors.set(key, step.cursor);
    this.counts.messages += 1;
    if (step.step === 'take') this.store(key, message.epoch, message.first, step.first_seq, records.slice(step.skip), records.slice(0, step.skip));
    const verdict = step.step === 'known' && !step.verified && !this.isStored(key, message) ? 'fork' : step.step;
    if (verdict === 'gap') this.counts.gaps += 1;
    if (verdict === 'fork') this.counts.forks += 1;
    if (verdict === 'known') this.counts.known += 1;
    const problem = verdict === 'take' || verdict === 'known' ? undefined : verdict;
    // Never more than this message proved: what lies behind it may differ at a station whose disk was put back.
    const last = message.first - 1 + records.reduce((sum, record) => sum + spanOf(record), 0);
    const through = Math.min(throughOf(step.cursor, message.epoch), last);
    return JSON.stringify({ stream, epoch: message.epoch, through, ...(problem ? { problem } : {}) });
  }

  /** What the chain could not prove the rows must: the same events under the same numbers. */
  private isStored(key: string, { epoch, first, records }: UplinkMessage): boolean {
    const rows = (this.rows.get(key) ?? []).filter((row) => row.epoch === epoch);
    return records.every((record, index) => JSON.stringify(rows[first - 1 + index]?.record) === JSON.stringify(record));
  }

  private store(key: string, epoch: string, first: number, first_seq: number, taken: StationRecord[], skipped: StationRecord[]): void {
    const rows = this.rows.get(key) ?? [];
    this.rows.set(key, rows);
    let end = first - 1 + skipped.reduce((sum, record) => sum + spanOf(record), 0);
    let seq = first_seq;
    for (const record of taken) {
      end += spanOf(record);
      rows.push({ epoch, seq, span: end - seq + 1, record });
      seq = end + 1;
    }
  }

  get drained(): boolean {
    return this.stations.every((station) => station.drained);
  }

  /** Torture for `torture_ms`, then heal and drain; false when it does not drain within an hour. */
  async run(torture_ms: number): Promise<boolean> {
    await this.clock.run(torture_ms);
    this.healed = true;
    this.#cloud_up = true;
    this.#gateway_up = true;
    for (const station of this.stations) station.heal();
    return this.clock.run(torture_ms + 3_600_000, () => this.drained);
  }
}

export class SimStation {
  readonly code: StationCode;
  readonly ledger: Ledger = { produced: new Map(), promised: new Set(), samples: [], restored: false };
  readonly #world: World;
  #db = new DatabaseSync(':memory:');
  #life: Life | null = null;
  #boots = 0;
  #events = 0;
  #samples = 0;
  #session: { ack: (ack: Ack) => void; close: (reason: string) => void } | null = null;
  #backup: Uint8Array | null = null;

  constructor(world: World, code: StationCode) {
    this.#world = world;
    this.code = code;
    this.start();
    this.live();
    const { station_ms } = world.weather;
    world.clock.after(world.spread(station_ms), () => this.crash());
    if (world.weather.restore_disk) world.clock.after(world.spread(station_ms), () => this.backUp());
  }

  start(): void {
    const { clock, random, weather } = this.#world;
    this.#boots += 1;
    const boot = this.#boots.toString(16).padStart(8, '0');
    const life: Partial<Life> & { alive: boolean } = { alive: true };
    const own = clock.clockFor(() => life.alive);
    const stamp = () => ({ at: own.wall(), mono: Math.round(own.mono()), boot, clock: 'synced' as const });
    const store = outboxStoreOn(outboxFileOn(this.#db), {
      clock: own,
      random,
      commit: { grouped_ms: 20 },
      disk_budget_bytes: weather.disk_budget_bytes,
      log: silentLog,
      sample_group: { records: 20, after_ms: 1_000 },
    });
    const outbox = store.outbox(this.code, stamp);
    this.#life = Object.assign(life, { store, outbox, samples_before: outbox.position('sample').head, samples: [] });
    startUplink({
      outbox,
      transport: this.transport(() => life.alive),
      clock: own,
      random,
      log: silentLog,
      about: () => ({ software: 'simulated', key_set_version: 0, status_list_version: 0 }),
      onCommand: () => Promise.resolve(),
      onLive: () => this.produceEvent(),
    });
  }

  /** Produces records for as long as the torture lasts. */
  private live(): void {
    const world = this.#world;
    world.clock.after(world.spread(400), () => {
      if (world.healed) return;
      const burst = world.chance(0.05) ? 12 : 1;
      for (let n = 0; n < burst; n += 1) this.produceEvent();
      for (let n = 0; n < burst * 3; n += 1) this.produceSample();
      this.live();
    });
  }

  private produceEvent(): void {
    const life = this.#life;
    if (!life) return;
    this.#events += 1;
    const name = `event ${this.#events}`;
    const now = Math.round(this.#world.clock.now);
    const record: EventRecord = { kind: 'mode', at: now, mono: now, boot: '00000001', clock: 'synced', mode: 'normal', cause: name };
    this.ledger.produced.set(name, record);
    void life.outbox.appendEvent(record).then(() => life.alive && this.ledger.promised.add(name));
  }

  private produceSample(): void {
    const life = this.#life;
    if (!life) return;
    this.#samples += 1;
    const n = this.#samples;
    const record: SampleRecord = {
      kind: 'report',
      at: n,
      mono: n,
      boot: '00000001',
      clock: 'synced',
      values: { co2_ppm: n % 10_000, ...(n % 2 ? { cups_count: n % 2_000 } : {}) },
    };
    life.samples.push(record);
    life.outbox.appendSample(record);
  }

  /** The ledger of a life that ends: of its samples, those count that were committed. */
  private close(life: Life): void {
    const durable = life.outbox.position('sample').head - life.samples_before;
    this.ledger.samples.push(...life.samples.slice(0, durable));
    const { samples_thinned, samples_dropped } = life.store.counters();
    this.#world.counts.thinned += samples_thinned;
    this.#world.counts.dropped += samples_dropped;
    life.alive = false;
    this.#life = null;
  }

  private crash(): void {
    const world = this.#world;
    if (world.healed || !this.#life) return;
    world.counts.crashes += 1;
    this.close(this.#life);
    this.cut(null);
    if (this.#backup && world.chance(0.5)) this.restore(this.#backup);
    world.clock.after(world.spread(2_000), () => {
      if (!this.#life) this.start();
      world.clock.after(world.spread(world.weather.station_ms), () => this.crash());
    });
  }

  private backUp(): void {
    this.#backup = this.#db.serialize();
  }

  /** The disk of some time ago is put in again: what came after it is forgotten by the station, not by the cloud. */
  private restore(backup: Uint8Array): void {
    this.#db = new DatabaseSync(':memory:');
    this.#db.deserialize(backup);
    this.#backup = null;
    this.ledger.promised.clear();
    this.ledger.restored = true;
  }

  /** Changing a disk takes longer than any message lives: what was under way is gone. */
  get disk(): DatabaseSync {
    return this.#db;
  }

  heal(): void {
    if (!this.#life) this.start();
  }

  get drained(): boolean {
    const life = this.#life;
    if (!life) return false;
    return STREAMS.every((stream) => {
      const { acked, head } = life.outbox.position(stream);
      return acked === head;
    });
  }

  /** Ends the last life, so that the ledger is whole. */
  finish(): void {
    if (this.#life) this.close(this.#life);
    this.#db.close();
  }

  /** The connection breaks; `null`: the station does not live to hear of it. */
  cut(reason: string | null): void {
    const session = this.#session;
    this.#session = null;
    if (reason !== null) session?.close(reason);
  }

  /** Acknowledgements are addressed to the station, so a late one meets whatever session there is. */
  receive(ack: string): void {
    this.#session?.ack(Ack.parse(JSON.parse(ack)));
  }

  private transport(alive: () => boolean): UplinkTransport {
    const world = this.#world;
    return {
      connect: () =>
        new Promise((resolve, reject) => {
          world.clock.after(world.spread(world.weather.delay_ms), () => {
            if (!alive()) return;
            if (!world.gatewayUp || world.chance(world.weather.refuse_connect)) return reject(new Fault('UPLINK_LOST', {}));
            resolve(this.session());
          });
        }),
    };
  }

  private session(): UplinkSession {
    const world = this.#world;
    const disk = this.#db;
    const mine = { ack: (_: Ack) => {}, close: (_: string) => {} };
    this.#session = mine;
    world.clock.after(world.spread(world.weather.session_ms), () => {
      if (!world.healed && this.#session === mine) this.cut('cable');
    });
    return {
      send: (stream, message) => {
        const text = JSON.stringify(message);
        world.carry(() => this.#db === disk && world.arrive({ station: this.code, stream, text }));
      },
      onAck: (listener) => void (mine.ack = listener),
      onCommand: () => {},
      onClosed: (listener) => void (mine.close = listener),
      end: () => Promise.resolve(),
    };
  }
}
