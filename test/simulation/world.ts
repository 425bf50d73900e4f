/** The network, the gateway and the cloud in simulated time: the real cursor, and everything before it hostile. */
import { stepCursor, throughOf, type StreamCursor } from '@waystation/cloud/ingest/cursor';
import type { StationRecord } from '@waystation/protocol/records';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { UplinkMessage } from '@waystation/protocol/uplink';
import { prng } from '@waystation/runtime/prng';
import { SimClock } from './sim-clock.ts';
import { SimStation } from './station.ts';

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
  readonly counts = {
    lost: 0,
    duplicated: 0,
    crashes: 0,
    gaps: 0,
    forks: 0,
    known: 0,
    messages: 0,
    thinned: 0,
    dropped: 0,
  };
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
    this.stations = Array.from(
      { length: stations },
      (_, n) => new SimStation(this, stationCode('370102001', 'W', n)),
    );
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
    if (step.step === 'take')
      this.store(
        key,
        message.epoch,
        message.first,
        step.first_seq,
        records.slice(step.skip),
        records.slice(0, step.skip),
      );
    const verdict =
      step.step === 'known' && !step.verified && !this.isStored(key, message) ? 'fork' : step.step;
    if (verdict === 'gap') this.counts.gaps += 1;
    if (verdict === 'fork') this.counts.forks += 1;
    if (verdict === 'known') this.counts.known += 1;
    const problem = verdict === 'take' || verdict === 'known' ? undefined : verdict;
    // Never more than this message proved: what lies behind it may differ at a station whose disk was put back.
    const last = message.first - 1 + records.reduce((sum, record) => sum + spanOf(record), 0);
    const through = Math.min(throughOf(step.cursor, message.epoch), last);
    return JSON.stringify({
      stream,
      epoch: message.epoch,
      through,
      ...(problem ? { problem } : {}),
    });
  }

  /** What the chain could not prove the rows must: the same events under the same numbers. */
  private isStored(key: string, { epoch, first, records }: UplinkMessage): boolean {
    const rows = (this.rows.get(key) ?? []).filter((row) => row.epoch === epoch);
    return records.every(
      (record, index) => JSON.stringify(rows[first - 1 + index]?.record) === JSON.stringify(record),
    );
  }

  private store(
    key: string,
    epoch: string,
    first: number,
    first_seq: number,
    taken: StationRecord[],
    skipped: StationRecord[],
  ): void {
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
