/** The outbox against a model that is a list, in every order of appends, reads, answers and power cuts. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventRecord, SampleRecord, StationRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { fakeClock } from '@waystation/runtime/clock';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import type { Outbox } from '../ports.ts';
import { outboxFileOn } from './outbox-file.ts';
import { outboxStoreOn, type OutboxStore } from './outbox-store.ts';

const STATION = stationCode('370102001', 'W', 1);
const stamp = { at: 5, mono: 5, boot: 'abcdef01', clock: 'synced' as const };
const event = (n: number): EventRecord => ({
  kind: 'mode',
  ...stamp,
  mode: 'normal',
  cause: `event ${n}`,
});
const sample = (n: number): SampleRecord => ({
  kind: 'report',
  ...stamp,
  values: { co2_ppm: n % 10_000 },
});

/** What the outbox must hold, as plain lists: `all[i]` is record i + 1 of the epoch. */
interface ModelStream {
  epoch: string;
  all: StationRecord[];
  acked: number;
  /** Appended, not yet committed. */
  pending: StationRecord[];
}
interface Real {
  db: DatabaseSync;
  random: () => number;
  store: OutboxStore;
  outbox: Outbox;
  made: number;
}
type Model = Record<Stream, ModelStream>;

function power({ db, random }: Pick<Real, 'db' | 'random'>): Pick<Real, 'store' | 'outbox'> {
  const store = outboxStoreOn(outboxFileOn(db), {
    clock: fakeClock(),
    random,
    commit: { grouped_ms: 1_000 }, // nothing commits unless the test says so
    disk_budget_bytes: 1e8,
    log: silentLog,
  });
  return { store, outbox: store.outbox(STATION, () => stamp) };
}

function commit(stream: ModelStream): void {
  stream.all.push(...stream.pending);
  stream.pending = [];
}

function checkStream(stream: Stream, model: ModelStream, { outbox }: Real): void {
  expect(outbox.position(stream)).toEqual({
    epoch: model.epoch,
    acked: model.acked,
    head: model.all.length,
  });
}

class Append implements fc.AsyncCommand<Model, Real> {
  readonly stream: Stream;
  readonly count: number;
  constructor(stream: Stream, count: number) {
    this.stream = stream;
    this.count = count;
  }
  check = () => true;
  async run(model: Model, real: Real) {
    for (let n = 0; n < this.count; n += 1) {
      real.made += 1;
      const record = this.stream === 'event' ? event(real.made) : sample(real.made);
      model[this.stream].pending.push(record);
      if (record.kind === 'report') real.outbox.appendSample(record);
      else void real.outbox.appendEvent(record as EventRecord).catch(() => {});
    }
    checkStream(this.stream, model[this.stream], real);
  }
  toString = () => `append ${this.count} ${this.stream}`;
}

class Flush implements fc.AsyncCommand<Model, Real> {
  check = () => true;
  async run(model: Model, real: Real) {
    await real.outbox.flush();
    for (const stream of ['event', 'sample'] as const) {
      commit(model[stream]);
      checkStream(stream, model[stream], real);
    }
  }
  toString = () => 'flush';
}

class Read implements fc.AsyncCommand<Model, Real> {
  readonly stream: Stream;
  readonly from: number;
  readonly records: number;
  constructor(stream: Stream, from: number, records: number) {
    this.stream = stream;
    this.from = from;
    this.records = records;
  }
  check = () => true;
  async run(model: Model, { outbox }: Real) {
    const { all, acked, epoch } = model[this.stream];
    const after = Math.max(acked, Math.floor(this.from * all.length));
    const wanted = all.slice(after, after + this.records);
    const read = outbox.read(this.stream, after, { records: this.records, bytes: 1e6 });
    if (wanted.length === 0) {
      expect(read).toBeNull();
      return;
    }
    const chain = all
      .slice(0, after)
      .reduce(
        (hash, record) => chainNext(hash, JSON.stringify(record)),
        chainStart(STATION, epoch),
      );
    const previous = this.stream === 'event' ? { previous_hash: chain } : {};
    expect(read).toEqual({
      last: after + wanted.length,
      message: { epoch, first: after + 1, ...previous, records: wanted },
    });
  }
  toString = () => `read ${this.records} ${this.stream} from ${this.from}`;
}

class Acknowledge implements fc.AsyncCommand<Model, Real> {
  readonly stream: Stream;
  readonly part: number;
  constructor(stream: Stream, part: number) {
    this.stream = stream;
    this.part = part;
  }
  check = () => true;
  async run(model: Model, real: Real) {
    const stream = model[this.stream];
    const through = Math.floor(this.part * stream.all.length);
    real.outbox.acknowledge({ stream: this.stream, epoch: stream.epoch, through });
    stream.acked = Math.max(stream.acked, through);
    checkStream(this.stream, stream, real);
  }
  toString = () => `acknowledge ${this.stream} ${this.part}`;
}

class Fork implements fc.AsyncCommand<Model, Real> {
  check = () => true;
  async run(model: Model, real: Real) {
    const { event: events, sample: samples } = model;
    real.outbox.acknowledge({ stream: 'event', epoch: events.epoch, through: 0, problem: 'fork' });
    const { epoch } = real.outbox.position('event');
    expect(epoch).not.toBe(events.epoch);
    const first: EventRecord = {
      kind: 'epoch',
      ...stamp,
      reason: 'forked',
      previous_epoch: events.epoch,
    };
    for (const stream of [events, samples]) {
      commit(stream);
      Object.assign(stream, { epoch, all: stream.all.slice(stream.acked), acked: 0 });
    }
    events.all.unshift(first);
    checkStream('event', events, real);
    checkStream('sample', samples, real);
  }
  toString = () => 'fork';
}

/** What was not committed is gone; acknowledgements that were not committed come back as records. */
class PowerCut implements fc.AsyncCommand<Model, Real> {
  check = () => true;
  async run(model: Model, real: Real) {
    Object.assign(real, power(real));
    for (const stream of ['event', 'sample'] as const) {
      const { acked, ...place } = real.outbox.position(stream);
      expect(acked).toBeLessThanOrEqual(model[stream].acked);
      expect(place).toEqual({ epoch: model[stream].epoch, head: model[stream].all.length });
      Object.assign(model[stream], { acked, pending: [] });
    }
  }
  toString = () => 'power cut';
}

test('does what a list would do', async () => {
  const stream = fc.constantFrom<Stream>('event', 'sample');
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  const commands = [
    fc.tuple(stream, fc.integer({ min: 1, max: 30 })).map(([s, n]) => new Append(s, n)),
    fc.constant(new Flush()),
    fc.tuple(stream, part, fc.integer({ min: 1, max: 20 })).map(([s, p, n]) => new Read(s, p, n)),
    fc.tuple(stream, part).map(([s, p]) => new Acknowledge(s, p)),
    fc.constant(new Fork()),
    fc.constant(new PowerCut()),
  ];
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40 }), async (list) => {
      const parts = { db: new DatabaseSync(':memory:'), random: prng(1) };
      await fc.asyncModelRun(() => {
        const real: Real = { ...parts, ...power(parts), made: 0 };
        const { epoch } = real.outbox.position('event');
        const first: EventRecord = { kind: 'epoch', ...stamp, reason: 'created' };
        const model: Model = {
          event: { epoch, all: [first], acked: 0, pending: [] },
          sample: { epoch, all: [], acked: 0, pending: [] },
        };
        return { model, real };
      }, list);
      parts.db.close();
    }),
    { numRuns: 300 },
  );
});
