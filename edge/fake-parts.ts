/** Stand-ins for a station's parts, for tests only: a door with a lock and contacts, a reader, cards by name, an outbox in memory. */
import type { Denial } from '@waystation/protocol/access';
import type { ClockQuality, EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { Stream } from '@waystation/protocol/topics';
import { type StationKind, stationCode } from '@waystation/protocol/station-code';
import { type FakeClock, fakeClock, monoMs } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { type Agent, AGENT_DEFAULTS, type AgentOptions, createAgent } from './agent.ts';
import type { DurableTable } from './outbox/durable-table.ts';
import type {
  CardVerdict,
  CardVerifier,
  FieldIo,
  Inputs,
  Outbox,
  Reader,
  TrustStore,
  UplinkTransport,
} from './ports.ts';
import type { Readings } from './report/report.ts';

export const CALM: Inputs = {
  doorOpen: false,
  lockEngaged: true,
  egressPressed: false,
  tamper: false,
  sosPressed: false,
  privacyBolt: false,
  smoke: false,
  mainsPresent: true,
  presence: false,
};

/** What happened, in order, as lines: `record access granted`, `coil release`, `answer +`. */
export type Diary = string[];

export interface FakeIo extends FieldIo {
  inputs: Inputs;
  /** Changes contacts and tells a poll. */
  set(change: Partial<Inputs>): void;
  measure(readings: Readings): void;
  device(device: 'controller' | 'environment', online: boolean): void;
  /** What the next lock commands meet; `stuck`: the coil answers, the bolt does not move. */
  lock: 'works' | 'stuck' | 'silent';
}

/** The lock follows its command at the next poll, as a fast one does. */
export function fakeIo(clock: FakeClock, diary: Diary): FakeIo {
  const on_inputs: ((inputs: Inputs, at: ReturnType<FakeClock['mono']>) => void)[] = [];
  const on_measurements: ((readings: Readings, at: ReturnType<FakeClock['mono']>) => void)[] = [];
  const on_device: Parameters<FieldIo['onDevice']>[0][] = [];
  const io: FakeIo = {
    inputs: CALM,
    lock: 'works',
    set(change) {
      io.inputs = { ...io.inputs, ...change };
      for (const listener of on_inputs) listener(io.inputs, clock.mono());
    },
    measure(readings) {
      for (const listener of on_measurements) listener(readings, clock.mono());
    },
    device(device, online) {
      for (const listener of on_device) listener(device, online, online ? 'answers' : 'silent');
    },
    start: () => undefined,
    stop: () => Promise.resolve(),
    onInputs: (listener) => void on_inputs.push(listener),
    onMeasurements: (listener) => void on_measurements.push(listener),
    onDevice: (listener) => void on_device.push(listener),
    async setLockRelease(on, options) {
      options.sent?.();
      diary.push(`coil ${on ? 'release' : 'engage'}`);
      await clock.sleep(10);
      if (io.lock === 'silent') throw new Fault('MODBUS_TIMEOUT', { unit: 1 });
      if (io.lock === 'works') io.set({ lockEngaged: !on });
    },
    setSounder: (on) => void diary.push(`sounder ${on ? 'on' : 'off'}`),
  };
  return io;
}

export interface FakeReader extends Reader {
  scan(text: string): void;
  online(online: boolean): void;
}

export function fakeReader(clock: FakeClock, diary: Diary): FakeReader {
  const on_line: Parameters<Reader['onLine']>[0][] = [];
  const on_online: Parameters<Reader['onOnline']>[0][] = [];
  return {
    scan(text) {
      for (const listener of on_line) listener(Buffer.from(text), monoMs(clock.mono()));
    },
    online(online) {
      for (const listener of on_online) listener(online, online ? 'line open' : 'line closed');
    },
    start: () => undefined,
    stop: () => Promise.resolve(),
    onLine: (listener) => void on_line.push(listener),
    onOnline: (listener) => void on_online.push(listener),
    answer: (decision) =>
      void diary.push(decision.outcome === 'granted' ? 'answer +' : `answer -${decision.denial}`),
  };
}

/** `card 7 rights 1` is valid once a sequence; `deny replayed` is refused so. */
export function fakeVerifier(diary: Diary): CardVerifier {
  let sequence = 0;
  return {
    verify(line): CardVerdict {
      const [word, what, , rights] = Buffer.from(line).toString('latin1').split(' ');
      if (word !== 'card') return { verdict: 'refused', denial: what as Denial };
      sequence += 1;
      return {
        verdict: 'valid',
        card: Number(what),
        org: 37,
        rights: Number(rights),
        issued_at_s: 1_780_000_000,
        sequence,
      };
    },
    accept: (card) => void diary.push(`accept ${card}`),
  };
}

export interface FakeOutbox extends Outbox {
  readonly events: EventRecord[];
  readonly samples: SampleRecord[];
  disk: 'works' | 'full';
  /** How long an event takes to become durable. */
  fsync_ms: number;
}

/** Nothing leaves it. */
export function fakeOutbox(clock: FakeClock, diary: Diary): FakeOutbox {
  const outbox: FakeOutbox = {
    events: [],
    samples: [],
    disk: 'works',
    fsync_ms: 2,
    async appendEvent(record) {
      await clock.sleep(outbox.fsync_ms);
      if (outbox.disk === 'full') throw new Fault('OUTBOX_FULL');
      outbox.events.push(record);
      diary.push(`record ${describeEvent(record)}`);
      return { seq: outbox.events.length };
    },
    appendSample: (record) => void outbox.samples.push(record),
    read: () => null,
    acknowledge: () => undefined,
    position: (stream: Stream) => ({
      epoch: '000000000000',
      acked: 0,
      head: stream === 'event' ? outbox.events.length : 0,
    }),
    onAppend: () => undefined,
    flush: () => Promise.resolve(),
    close: () => undefined,
  };
  return outbox;
}

export function describeEvent(record: EventRecord): string {
  switch (record.kind) {
    case 'access':
      return `access ${record.method} ${record.denial ?? record.outcome}`;
    case 'door':
      return `door ${record.from} ${record.to} ${record.cause}`;
    case 'mode':
      return `mode ${record.mode}`;
    case 'room':
      return `room ${record.state}`;
    case 'input':
      return `input ${record.input} ${record.active}`;
    case 'device':
      return `device ${record.device} ${record.online}`;
    case 'command':
      return `command ${record.id} ${record.status}${record.reason === undefined ? '' : ` (${record.reason})`}`;
    case 'snapshot':
    case 'started':
    case 'clock':
    case 'trust':
    case 'epoch':
      return record.kind;
    default:
      return record satisfies never;
  }
}

/** A map that forgets nothing: a station restarted on the same one finds what it kept. */
export function fakeTable(): DurableTable {
  const rows = new Map<string, string>();
  return {
    get: (key) => rows.get(key) ?? null,
    put: (key, value) => {
      rows.delete(key);
      rows.set(key, value);
    },
    delete: (key) => void rows.delete(key),
    entries: () => [...rows],
    prune: () => undefined,
  };
}

/** A gateway that is never there. */
export const noTransport: UplinkTransport = {
  connect: () => Promise.reject(new Fault('UPLINK_LOST')),
};

export function fakeStamp(clock: FakeClock, quality: { now: ClockQuality }) {
  return () => ({
    at: clock.wall() as number,
    mono: clock.mono() as number,
    boot: '0badb007',
    clock: quality.now,
  });
}

export interface FakeStation {
  agent: Agent;
  clock: FakeClock;
  io: FakeIo;
  reader: FakeReader;
  outbox: FakeOutbox;
  tables: AgentOptions['tables'];
  quality: { now: ClockQuality };
  /** Empty when the station has started and is calm. */
  diary: Diary;
}

/** A station on fakes, started, its contacts known. The same `clock` and `tables` again: a restart. */
export async function fakeStation(
  options: Partial<AgentOptions> & { kind?: StationKind; clock?: FakeClock } = {},
): Promise<FakeStation> {
  const clock = options.clock ?? fakeClock();
  const diary: Diary = [];
  const quality: FakeStation['quality'] = { now: 'synced' };
  const io = fakeIo(clock, diary);
  const reader = fakeReader(clock, diary);
  const outbox = fakeOutbox(clock, diary);
  const tables = options.tables ?? { door: fakeTable(), orders: fakeTable() };
  const agent = createAgent({
    station: stationCode('370102001', options.kind ?? 'W', 1),
    settings: AGENT_DEFAULTS,
    io,
    reader,
    verifier: fakeVerifier(diary),
    trust: noTrust,
    outbox,
    transport: noTransport,
    stamp: fakeStamp(clock, quality),
    watchClock: () => ({ stop: () => undefined }),
    random: prng(1),
    log: silentLog,
    software: 'test',
    ...options,
    tables,
    clock,
  });
  agent.start();
  io.device('controller', true);
  io.device('environment', true);
  reader.online(true);
  io.set({});
  await clock.advance(5_000);
  diary.length = 0;
  return { agent, clock, io, reader, outbox, tables, quality, diary };
}

export const noTrust: TrustStore = {
  versions: () => ({ key_set_version: 0, status_list_version: 0 }),
  applyKeySet: () => false,
  applyStatusList: () => false,
};
