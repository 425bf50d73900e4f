/** A station in simulated time: the real outbox and session on a disk in memory, which a crash leaves as it is. */
import { DatabaseSync } from 'node:sqlite';
import { outboxFileOn } from '@waystation/edge/outbox/outbox-file';
import { outboxStoreOn, type OutboxStore } from '@waystation/edge/outbox/outbox-store';
import type { Outbox, UplinkSession, UplinkTransport } from '@waystation/edge/ports';
import { startUplink } from '@waystation/edge/uplink/uplink';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { STREAMS } from '@waystation/protocol/topics';
import { Ack } from '@waystation/protocol/uplink';
import { Fault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import type { World } from './world.ts';

interface Listeners {
  ack: (ack: Ack) => void;
  close: (reason: string) => void;
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

export class SimStation {
  readonly code: StationCode;
  readonly ledger: Ledger = {
    produced: new Map(),
    promised: new Set(),
    samples: [],
    restored: false,
  };
  readonly #world: World;
  #db = new DatabaseSync(':memory:');
  #life: Life | null = null;
  #boots = 0;
  #events = 0;
  #samples = 0;
  #session: Listeners | null = null;
  #backup: Uint8Array | null = null;

  constructor(world: World, code: StationCode) {
    this.#world = world;
    this.code = code;
    this.start();
    this.live();
    const { station_ms } = world.weather;
    world.clock.after(world.spread(station_ms), () => this.crash());
    if (world.weather.restore_disk)
      world.clock.after(world.spread(station_ms), () => this.backUp());
  }

  start(): void {
    const { clock, random, weather } = this.#world;
    this.#boots += 1;
    const boot = this.#boots.toString(16).padStart(8, '0');
    const life: Partial<Life> & { alive: boolean } = { alive: true };
    const own = clock.clockFor(() => life.alive);
    const stamp = () => ({
      at: own.wall(),
      mono: Math.round(own.mono()),
      boot,
      clock: 'synced' as const,
    });
    const store = outboxStoreOn(outboxFileOn(this.#db), {
      clock: own,
      random,
      commit: { grouped_ms: 20 },
      disk_budget_bytes: weather.disk_budget_bytes,
      log: silentLog,
      sample_group: { records: 20, after_ms: 1_000 },
    });
    const outbox = store.outbox(this.code, stamp);
    this.#life = Object.assign(life, {
      store,
      outbox,
      samples_before: outbox.position('sample').head,
      samples: [],
    });
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
    const record: EventRecord = {
      kind: 'mode',
      at: now,
      mono: now,
      boot: '00000001',
      clock: 'synced',
      mode: 'normal',
      cause: name,
    };
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
            if (!world.gatewayUp || world.chance(world.weather.refuse_connect))
              return reject(new Fault('UPLINK_LOST', {}));
            resolve(this.session());
          });
        }),
    };
  }

  private session(): UplinkSession {
    const world = this.#world;
    const disk = this.#db;
    const mine: Listeners = { ack: () => {}, close: () => {} };
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
