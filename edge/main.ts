/** The station agent: `node edge/main.ts --config FILE`. Builds the adapters on real lines, a real file and a real gateway. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, epochMs, systemClock } from '@waystation/runtime/clock';
import { configFromCommandLine, readSecret } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { jsonLog, type Log } from '@waystation/runtime/log';
import { writeToStream } from 'mqtt-packet';
import { createAgent } from './agent.ts';
import { serialLine } from './bus/serial-line.ts';
import { stationIo } from './bus/station-io.ts';
import { durableReplayTable } from './card/durable-replay-table.ts';
import { createReplayGuard } from './card/replay-guard.ts';
import { readRootKeys } from './card/root-keys.ts';
import { createTrustStore } from './card/trust-store.ts';
import { createCardVerifier } from './card/verifier.ts';
import { JOURNAL_ROWS_MAX } from './command/command-journal.ts';
import { agentSettings, EdgeConfig, SAMPLE_CONFIG } from './config.ts';
import { startHealth } from './health.ts';
import { agentMetrics } from './metrics.ts';
import { openOutboxStore } from './outbox/outbox-store.ts';
import { serialReader } from './reader/serial-reader.ts';
import { RELEASED_AT_MS, SOFTWARE } from './software.ts';
import { openAdjtimex } from './time/adjtimex.ts';
import { readBoot, sinceBoot } from './time/boot.ts';
import { bootedFromRtc, keptAnchor, resumeAnchor } from './time/clock-memory.ts';
import { hostClock, trustedHost } from './time/clock-source.ts';
import { clockFloor, watchClock } from './time/clock-watch.ts';
import { createStamp } from './time/stamp.ts';
import { mqttTransport } from './uplink/mqtt-transport.ts';

/** Longer than this a stop is not waited for. */
const STOP_MS = 4_000;
/** A signer's clock may be ahead of ours by this much. */
const SIGNER_AHEAD_MS = 120_000;
const CARDS_REMEMBERED = 4_096;

const clock = systemClock();
const random = Math.random;
const print = (text: string) => void process.stdout.write(text);

/** Time, trust and memory of the station: what its door needs before any line is open. */
function openStation(config: EdgeConfig, log: Log) {
  mkdirSync(config.data_dir, { recursive: true });
  const roots = readRootKeys(config.trust.root_keys_file);
  const trust = createTrustStore({ directory: join(config.data_dir, 'trust'), roots, log });
  const store = openOutboxStore({
    path: join(config.data_dir, 'outbox.db'),
    clock,
    random,
    commit: 'immediate',
    disk_budget_bytes: config.outbox.disk_budget_bytes,
    log,
  });
  const boot = readBoot(random);
  const boot_mono_ms = sinceBoot(clock.mono());
  const time_table = store.table('time', { rows: 8 });
  const floor = clockFloor(time_table, RELEASED_AT_MS);
  const start = { boot: boot.id, wall: clock.wall(), mono: clock.mono(), boot_mono_ms };
  const source = hostClock({
    clock,
    anchor: resumeAnchor(keptAnchor(time_table), { ...start, rtc: bootedFromRtc() }),
    discipline: config.clock.source === 'host' ? trustedHost : openAdjtimex(),
    floor: () => Math.max(floor(), trust.signedSince_s() * 1000 - SIGNER_AHEAD_MS),
  });
  const stamp = createStamp(clock, boot, source, boot_mono_ms);
  const verifier = createCardVerifier({
    station: config.station,
    trust,
    replay: createReplayGuard(
      durableReplayTable(store.table('replay', { rows: CARDS_REMEMBERED })),
      CARDS_REMEMBERED,
    ),
    lastSynced: () => {
      const anchor = source.judge().anchor;
      return anchor === null ? null : epochMs(anchor.wall);
    },
  });
  return {
    trust,
    store,
    stamp,
    verifier,
    watch: (changed: Parameters<typeof watchClock>[0]['changed']) =>
      watchClock({
        clock,
        source,
        boot,
        boot_mono_ms,
        table: time_table,
        setOffset: (of_boot, offset_ms) => store.setOffset(of_boot, offset_ms),
        changed,
      }),
  };
}

/** The two serial lines and the gateway. */
function openLines(config: EdgeConfig, log: Log) {
  const { gateway, field_bus, reader } = config;
  const file = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path));
  const [ca, cert, key] = [file(gateway.ca_file), file(gateway.cert_file), file(gateway.key_file)];
  return {
    io: stationIo({
      line: serialLine(field_bus, clock, random, log),
      clock,
      random,
      log,
      baud: field_bus.baud,
      release_ms: config.door.release_ms,
    }),
    reader: serialReader({ line: serialLine(reader, clock, random, log), clock, log }),
    transport: mqttTransport({
      url: gateway.url,
      station: config.station,
      password: () => readSecret(gateway.password_file),
      clock,
      log,
      tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    }),
  };
}

async function run(config: EdgeConfig, log: Log): Promise<() => Promise<void>> {
  const { trust, store, stamp, verifier, watch } = openStation(config, log);
  const { io, reader, transport } = openLines(config, log);
  const outbox = store.outbox(config.station, stamp);
  const agent = createAgent({
    station: config.station,
    settings: agentSettings(config),
    io,
    reader,
    verifier,
    trust,
    outbox,
    transport,
    tables: {
      door: store.table('door', { rows: 16 }),
      orders: store.table('orders', { rows: JOURNAL_ROWS_MAX + 1 }),
    },
    clock,
    stamp,
    watchClock: watch,
    random,
    log,
    software: SOFTWARE,
  });
  const health =
    config.http &&
    (await startHealth({
      ...config.http,
      parts: () => ({ ...agent.status().devices, uplink: agent.status().uplink_live }),
      ready: () => agent.status().ready,
      metrics: () =>
        agentMetrics({
          agent,
          outbox,
          outbox_counters: () => store.counters(),
          outbox_bytes: () => store.usedBytes(),
          bus_counters: () => io.counters(),
          reader_counters: () => reader.counters(),
        }),
    }));
  agent.start();
  const port = health && { http_port: health.port };
  void agent.firstLook.then((door) =>
    log('info', 'ready', { station: config.station, door, software: SOFTWARE, ...port }),
  );
  return async () => {
    await health?.stop();
    await agent.stop();
    store.close();
  };
}

async function main(argv: readonly string[]): Promise<void> {
  const about = {
    name: 'edge',
    purpose: "the station's agent: door, sensors, uplink.",
    sample: SAMPLE_CONFIG,
  };
  const config = configFromCommandLine(EdgeConfig, about, argv, print);
  if (config === null) return;
  const log = jsonLog(clock, 'edge', config.log_level, print);
  const running = run(config, log);
  stopOnSignal(clock, log, running);
  await running;
}

function stopOnSignal(clock: Clock, log: Log, running: Promise<() => Promise<void>>): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log('info', 'stopping', { signal });
    clock.after(STOP_MS, () => {
      log('error', 'stop.cut', { after_ms: STOP_MS });
      process.exit(1);
    });
    const end = await running;
    await end();
    log('info', 'stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
}

// mqtt.js would keep all 65,536 two-byte numbers ready as buffers: 7 MB for a station that sends a packet a minute.
writeToStream.cacheNumbers = false;

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`edge: ${error.message}\n${error.operator}\n`);
  process.exitCode = error.code === 'USAGE' || error.code.startsWith('CONFIG_') ? 2 : 1;
}
