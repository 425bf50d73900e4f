/** Days without the cloud in simulated time: a busy station serves, restarts, loses its clock; the oracle knows only the rules. */
import { readFileSync } from 'node:fs';
import { uplinkFault } from '@waystation/edge/uplink/mqtt-transport';
import { THINNED_SPAN_MAX } from '@waystation/edge/outbox/thinning';
import type { UplinkTransport } from '@waystation/edge/ports';
import { nextArrival_ms } from '@waystation/firmware-sim/visitors';
import { DENIALS } from '@waystation/protocol/access';
import { spanOf, type EventRecord, type SampleRecord } from '@waystation/protocol/records';
import { stationKind, type StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { epochMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { createWorld, DAY_S, type World } from '../card/world.ts';
import { createHolders, type Holders } from './autonomy-holders.ts';
import { bootStation, type Box, type Life } from './autonomy-station.ts';
import { SimClock } from './sim-clock.ts';

export const DAY_MS = DAY_S * 1000;
/** The last contact: 2026-12-01T00:00Z. */
export const FROM_MS = Date.UTC(2026, 11, 1);
/** The station's quartz runs ahead by this much. */
const DRIFT_PPM = 8;
/** The station was synchronised this long after its start, and once more after its clock was lost. */
const SYNCED_MS = 3_600_000;
/** From the reader through journal and relay to its read-back is a long chain. */
const SETTLE_TURNS = 32;
/** How long the clock reads 1970. */
const CLOCKLESS_MS = 6 * 3_600_000;
/** A scan may wait for one exchange on the bus that is under way. */
export const DECISION_MS_MAX = 250;

export interface AutonomyOptions {
  seed: number;
  days: number;
  code: StationCode;
  visits_per_day: number;
  directory: string;
  disk_budget_bytes: number;
  /** Age of the card key at the last contact. */
  key_age_days: number;
  /** How long ago the last contact was when the run begins. */
  contact_age_days?: number;
}

export interface Tally {
  scans: number;
  granted: number;
  refused: Record<string, number>;
  occupied: number;
  connects: Record<string, number>;
  boots: number;
  decision_ms_max: number;
  written_bytes: number;
  heap_mb: number[];
  wrong: string[];
}

/** What stands in the outbox against what it took. */
export interface Account {
  unaccounted: number;
  gaps: number;
  thinned_records: number;
  reports: number;
  spans: number;
}

/** Why nobody answers, by the day. As Node's resolver and TLS say it (uplink tests hold them to the real ones). */
function silence(day: number): string {
  if (day < 30) return 'ENOTFOUND';
  if (day < 60) return 'CERT_HAS_EXPIRED';
  return day < 70 ? 'CERT_NOT_YET_VALID' : 'EAI_AGAIN';
}

export class AutonomyRun {
  readonly clock = new SimClock(SETTLE_TURNS);
  readonly options: AutonomyOptions;
  readonly cards: World;
  readonly events: EventRecord[] = [];
  readonly samples: SampleRecord[] = [];
  /** What a watch showed when the outbox took each of them, by sequence number. */
  readonly true_ms: Record<Stream, number[]> = { event: [], sample: [] };
  /** Thinned and dropped over all lives. */
  readonly gave_way = { thinned: 0, dropped: 0 };
  readonly tally: Tally = {
    scans: 0,
    granted: 0,
    refused: {},
    occupied: 0,
    connects: {},
    boots: 0,
    decision_ms_max: 0,
    written_bytes: 0,
    heap_mb: [],
    wrong: [],
  };
  life: Life;
  /** Answers once the silence is over. */
  cloud: UplinkTransport | null = null;
  readonly #random: () => number;
  readonly #holders: Holders;
  readonly #box: Box;
  #wall_base: number = FROM_MS;
  #synced_until = SYNCED_MS;
  #clock_lost = false;
  #last_inside = -1e9;

  constructor(options: AutonomyOptions) {
    this.options = options;
    this.#random = prng(options.seed);
    const from_s = FROM_MS / 1000;
    const contact_s = from_s - (options.contact_age_days ?? 0) * DAY_S;
    const keys_from_s = contact_s - options.key_age_days * DAY_S;
    this.cards = createWorld({ now_s: contact_s, keys_from_s });
    // The station hears of the issuer for the last time; the issuer and the phones go on.
    this.cards.keys.renew(contact_s);
    this.cards.trust.applyKeySet(this.cards.keys.keySet().body);
    for (let at_s = contact_s; at_s <= from_s; at_s += DAY_S) this.cards.keys.renew(at_s);
    this.#holders = createHolders(this.cards, this.#random, from_s);
    this.#box = {
      code: options.code,
      clock: this.clock,
      directory: options.directory,
      disk_budget_bytes: options.disk_budget_bytes,
      random: this.#random,
      wall: () => Math.floor(this.#wall_base + this.clock.now),
      synced: () => this.clock.now < this.#synced_until,
      transport: { connect: (birth) => this.#connect(birth) },
      trust: () => this.cards.restart().trust,
      took: (stream, record, seq) => this.#took(stream, record, seq),
    };
    this.life = this.#boot(true);
  }

  /** What a watch with a network shows. */
  trueMs(): number {
    return FROM_MS + this.clock.now * (1 - DRIFT_PPM / 1e6);
  }

  get day(): number {
    return Math.floor(this.clock.now / DAY_MS);
  }

  #boot(rtc: boolean): Life {
    this.tally.boots += 1;
    const boot_id = (0x1000_0000 + this.tally.boots).toString(16);
    return bootStation(this.#box, boot_id, rtc);
  }

  #took(stream: 'event' | 'sample', record: EventRecord | SampleRecord, seq: number | null): void {
    const at = seq === null ? this.samples.length : seq - 1;
    this.true_ms[stream][at] = this.trueMs();
    if (stream === 'sample') this.samples[at] = record as SampleRecord;
    else this.events[at] = record as EventRecord;
  }

  #connect(
    birth: Parameters<UplinkTransport['connect']>[0],
  ): ReturnType<UplinkTransport['connect']> {
    if (this.cloud) return this.cloud.connect(birth);
    const code = silence(this.day);
    const fault = uplinkFault(Object.assign(new Error(code), { code }));
    this.tally.connects[fault.code] = (this.tally.connects[fault.code] ?? 0) + 1;
    return new Promise((_, reject) => this.clock.after(20, () => reject(fault)));
  }

  #scan(): void {
    const { hardware } = this.life;
    const { line, expected } = this.#holders.next(Math.floor(this.trueMs() / 1000));
    const at = this.clock.now;
    if (hardware.look().stays_ms.length > 0) this.#last_inside = at;
    const life = this.life;
    void hardware.scan(line).then((result) => {
      if (life !== this.life) return; // cut short by the restart
      this.#judge(
        result,
        this.#clock_lost && expected !== 'notOurCode' ? 'clockUnknown' : expected,
      );
    });
  }

  #judge(result: Awaited<ReturnType<Life['hardware']['scan']>>, expected: string): void {
    const { tally } = this;
    tally.scans += 1;
    if (result.outcome === 'unanswered') return void tally.wrong.push(`day ${this.day}: no answer`);
    tally.decision_ms_max = Math.max(tally.decision_ms_max, result.decision_ms);
    const said = result.outcome === 'granted' ? 'granted' : result.denial;
    const inside = this.clock.now - this.#last_inside < 5 * 60_000;
    if (said === 'granted') tally.granted += 1;
    else if (said === 'occupied' && stationKind(this.options.code) === 'M' && inside) {
      tally.occupied += 1;
      return;
    } else tally.refused[said] = (tally.refused[said] ?? 0) + 1;
    if (said !== expected) tally.wrong.push(`day ${this.day}: ${said} instead of ${expected}`);
    if (said in DENIALS && result.sentence !== DENIALS[said as keyof typeof DENIALS].zh)
      tally.wrong.push(`day ${this.day}: ${said} says ${result.sentence}`);
  }

  /** Visitors of one life, each after the one before. */
  #receive(life: Life): void {
    const { visits_per_day, code } = this.options;
    const wait_ms = nextArrival_ms(
      epochMs(this.trueMs()),
      stationKind(code),
      visits_per_day,
      this.#random,
    );
    this.clock.after(wait_ms, () => {
      if (life !== this.life) return;
      this.#scan();
      this.#receive(life);
    });
  }

  /** Once a day each: a door forced, a door held, a call for help. */
  #mischief(): void {
    const at = (act: (life: Life) => void) =>
      this.clock.after(this.#random() * 0.9 * DAY_MS, () => act(this.life));
    at(({ hardware }) => hardware.act({ do: 'forceLeaf' }));
    at(({ hardware }) => {
      hardware.act({ do: 'forceLeaf' });
      hardware.act({ do: 'hold', on: true });
      this.clock.after(600_000, () => this.life.hardware.act({ do: 'hold', on: false }));
    });
    at(({ hardware }) => {
      hardware.act({ do: 'sos', on: true });
      this.clock.after(120_000, () => this.life.hardware.act({ do: 'sos', on: false }));
    });
  }

  /** Another boot on the same file; `clock` says what the box knows of the time. */
  async #restart(clock: 'rtc' | '1970'): Promise<void> {
    const stopping = this.life.stop();
    await this.clock.run(this.clock.now + 10_000);
    await stopping;
    this.#countGivenWay();
    if (clock === '1970') {
      this.#wall_base = 5_000 - this.clock.now;
      this.#clock_lost = true;
      this.clock.after(CLOCKLESS_MS, () => this.#clockSet());
    }
    this.life = this.#boot(clock === 'rtc');
    this.#receive(this.life);
  }

  #countGivenWay(): void {
    const { samples_thinned, samples_dropped } = this.life.store.counters();
    this.gave_way.thinned += samples_thinned;
    this.gave_way.dropped += samples_dropped;
  }

  #clockSet(): void {
    this.#wall_base = this.trueMs() - this.clock.now;
    this.#synced_until = this.clock.now + SYNCED_MS;
    this.#clock_lost = false;
  }

  async days(): Promise<void> {
    const { days } = this.options;
    const [lost_day, every] = [Math.floor(days / 2), Math.max(2, Math.floor(days / 8))];
    this.#receive(this.life);
    const io = () => Number(/wchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
    for (let day = 0; day < days; day += 1) {
      const before = io();
      this.#mischief();
      await this.clock.run(day * DAY_MS + DAY_MS - 60_000);
      if (day === lost_day) await this.#restart('1970');
      else if (day % every === every - 1) await this.#restart('rtc');
      await this.clock.run((day + 1) * DAY_MS);
      this.cards.keys.renew(Math.floor(this.trueMs() / 1000));
      this.tally.written_bytes += io() - before;
      if (day % 10 === 9) this.tally.heap_mb.push(Math.round(process.memoryUsage().heapUsed / 1e6));
    }
    await this.clock.run(this.clock.now + 10_000);
    await this.life.outbox.flush();
    this.#countGivenWay();
  }

  /** Compares what the outbox holds with what it took: every number once, nothing without its record. */
  account(): Account {
    const { outbox } = this.life;
    const result: Account = { unaccounted: 0, gaps: 0, thinned_records: 0, reports: 0, spans: 0 };
    const limits = { records: 256, bytes: 250_000 };
    for (let after = outbox.position('event').acked; ;) {
      const read = outbox.read('event', after, limits);
      if (read === null) break;
      for (const [index, record] of read.message.records.entries()) {
        const expected = this.events[after + index];
        // The first record of an outbox is its own.
        const own = after + index === 0 && (record as EventRecord).kind === 'epoch';
        if (!own && JSON.stringify(record) !== JSON.stringify(expected)) result.unaccounted += 1;
      }
      after = read.last;
    }
    result.unaccounted += Math.abs(outbox.position('event').head - this.events.length);
    for (let after = outbox.position('sample').acked; ;) {
      const read = outbox.read('sample', after, limits);
      if (read === null) break;
      for (const record of read.message.records as SampleRecord[]) {
        const last = this.samples[after + spanOf(record) - 1];
        // A report that was thinned before it was dropped has the time of its newest: the gap begins with that.
        const begins = this.samples.slice(after, after + THINNED_SPAN_MAX).map(({ at }) => at);
        after += spanOf(record);
        result.spans += spanOf(record);
        if (record.kind === 'gap') result.gaps += 1;
        else result.reports += 1;
        if (record.kind === 'report' && spanOf(record) > 1) result.thinned_records += 1;
        const told = record.kind === 'gap' ? begins.includes(record.from_at) : true;
        const whole = spanOf(record) > 1 || JSON.stringify(record) === JSON.stringify(last);
        if (!told || !whole || record.at !== last?.at) result.unaccounted += 1;
      }
    }
    result.unaccounted += Math.abs(result.spans - this.samples.length);
    return result;
  }

  async end(): Promise<void> {
    const stopping = this.life.stop();
    await this.clock.run(this.clock.now + 10_000);
    await stopping;
    this.cards.remove();
  }
}
