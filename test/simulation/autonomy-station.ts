/** One station for the autonomy run: the agent's core as main.ts joins it, on hardware in memory, a real outbox file and simulated time. */
import { join } from 'node:path';
import { createAgent, type Agent } from '@waystation/edge/agent';
import { stationIo } from '@waystation/edge/bus/station-io';
import { durableReplayTable } from '@waystation/edge/card/durable-replay-table';
import { createReplayGuard } from '@waystation/edge/card/replay-guard';
import { createCardVerifier } from '@waystation/edge/card/verifier';
import type { FileTrustStore } from '@waystation/edge/card/trust-store';
import { JOURNAL_ROWS_MAX } from '@waystation/edge/command/command-journal';
import { openOutboxStore, type OutboxStore } from '@waystation/edge/outbox/outbox-store';
import type { Outbox, UplinkTransport } from '@waystation/edge/ports';
import { serialReader } from '@waystation/edge/reader/serial-reader';
import { keptAnchor, resumeAnchor } from '@waystation/edge/time/clock-memory';
import { hostClock } from '@waystation/edge/time/clock-source';
import { clockFloor, watchClock } from '@waystation/edge/time/clock-watch';
import { createStamp } from '@waystation/edge/time/stamp';
import { memoryStation } from '@waystation/firmware-sim/device-line';
import { fleetTiming } from '@waystation/firmware-sim/fleet/fleet-station';
import type { StationHardware } from '@waystation/firmware-sim/station';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { StationCode } from '@waystation/protocol/station-code';
import { epochMs, type Clock, type Timer } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import type { SimClock } from './sim-clock.ts';

/** A door that is polled slowly stands open for longer (fleetTiming); the decision itself does not wait for a poll. */
const POLL_MS = 20_000;
const REPORT_MS = 60_000;
const { settings: SETTINGS, door: DOOR } = fleetTiming({
  poll_interval_ms: POLL_MS,
  report_interval_ms: REPORT_MS,
});
/** One reading of the sensors makes one report: half a period early, or rounding would leave every second one out. */
const REPORT = { ...SETTINGS.report, heartbeat_ms: REPORT_MS / 2, interval_min_ms: REPORT_MS / 2 };
/** A day has 86,400 looks at the clock of which none would differ: one a minute sees the same. */
const LOOK_EVERY_MS = 60_000;

/** The box as far as the agent cannot know it: its wall clock, who disciplines it, what it is wired to. */
export interface Box {
  code: StationCode;
  clock: SimClock;
  directory: string;
  disk_budget_bytes: number;
  random: () => number;
  wall: () => number;
  synced: () => boolean;
  transport: UplinkTransport;
  trust: () => FileTrustStore;
  /** Everything the outbox took, as it took it. */
  took: (
    stream: 'event' | 'sample',
    record: EventRecord | SampleRecord,
    seq: number | null,
  ) => void;
}

/** One life of the agent, from a boot to a stop. */
export interface Life {
  agent: Agent;
  hardware: StationHardware;
  store: OutboxStore;
  outbox: Outbox;
  stop: () => Promise<void>;
}

/** A view of the simulated time for one life: when it ends no timer fires any more. */
function lifeClock(box: Box, alive: () => boolean, every_min_ms = 0): Clock {
  const base = box.clock.clockFor(alive);
  return {
    ...base,
    wall: () => epochMs(box.wall()),
    every(period_ms, tick) {
      let timer: Timer = base.after(0, () => {});
      const again = () => {
        timer = base.after(Math.max(period_ms, every_min_ms), () => {
          again();
          tick();
        });
      };
      again();
      return { stop: () => timer.stop() };
    },
    sleep: (delay_ms, signal) =>
      new Promise((resolve) => {
        const timer = base.after(delay_ms, resolve);
        signal?.addEventListener('abort', () => {
          timer.stop();
          resolve();
        });
      }),
  };
}

function watched(outbox: Outbox, took: Box['took']): Outbox {
  return {
    ...outbox,
    async appendEvent(record) {
      const place = await outbox.appendEvent(record);
      took('event', record, place.seq);
      return place;
    },
    appendSample(record) {
      outbox.appendSample(record);
      took('sample', structuredClone(record), null);
    },
  };
}

/** What main.ts does for time, trust and memory. */
function openParts(box: Box, boot_id: string, rtc: boolean, clock: Clock, slow: Clock) {
  const { code, random } = box;
  const trust = box.trust();
  const store = openOutboxStore({
    path: join(box.directory, 'outbox.db'),
    clock,
    random,
    commit: 'immediate',
    disk_budget_bytes: box.disk_budget_bytes,
    log: silentLog,
  });
  const boot = { id: boot_id };
  const boot_mono_ms = 0 - clock.mono();
  const table = store.table('time', { rows: 8 });
  const floor = clockFloor(table, 0);
  const start = { boot: boot.id, wall: clock.wall(), mono: clock.mono(), boot_mono_ms, rtc };
  const source = hostClock({
    clock,
    discipline: () => ({ synced: box.synced(), max_error_ms: 20 }),
    floor: () => Math.max(floor(), trust.signedSince_s() * 1000 - 120_000),
    anchor: resumeAnchor(keptAnchor(table), start),
  });
  const stamp = createStamp(clock, boot, source, boot_mono_ms);
  const verifier = createCardVerifier({
    station: code,
    trust,
    replay: createReplayGuard(durableReplayTable(store.table('replay', { rows: 4096 }))),
    lastSynced: () => {
      const { anchor } = source.judge();
      return anchor === null ? null : epochMs(anchor.wall);
    },
  });
  const watch: Parameters<typeof createAgent>[0]['watchClock'] = (changed) =>
    watchClock({
      clock: slow,
      source,
      boot,
      boot_mono_ms,
      table,
      setOffset: (of, offset_ms) => store.setOffset(of, offset_ms),
      changed,
    });
  return { trust, store, stamp, verifier, watch };
}

export function bootStation(box: Box, boot_id: string, rtc: boolean): Life {
  let alive = true;
  const { code, random } = box;
  const clock = lifeClock(box, () => alive);
  const slow = lifeClock(box, () => alive, LOOK_EVERY_MS);
  const { trust, store, stamp, verifier, watch } = openParts(box, boot_id, rtc, clock, slow);
  const outbox = watched(store.outbox(code, stamp), box.took);
  const { hardware, field_bus, reader } = memoryStation({ code, clock, random, timing: DOOR });
  const agent = createAgent({
    station: code,
    settings: { ...SETTINGS, report: REPORT },
    io: stationIo({
      line: field_bus,
      clock,
      random,
      log: silentLog,
      baud: 115_200,
      release_ms: SETTINGS.door.portal.release_ms,
      inputs_interval_ms: POLL_MS,
      measurements_interval_ms: REPORT_MS,
    }),
    reader: serialReader({ line: reader, clock, log: silentLog }),
    verifier,
    trust,
    outbox,
    transport: box.transport,
    tables: {
      door: store.table('door', { rows: 16 }),
      orders: store.table('orders', { rows: JOURNAL_ROWS_MAX + 1 }),
    },
    clock,
    stamp,
    watchClock: watch,
    random,
    log: silentLog,
    software: 'autonomy',
  });
  agent.start();
  return {
    agent,
    hardware,
    store,
    outbox,
    async stop() {
      await agent.stop();
      alive = false;
      store.close();
    },
  };
}
