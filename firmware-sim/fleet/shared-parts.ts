/** What all agents of a fleet share, though each believes it is alone: outbox file, clock, trust, credentials. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClockEvent } from '@waystation/edge/agent';
import { readRootKeys } from '@waystation/edge/card/root-keys';
import { createTrustStore, type FileTrustStore } from '@waystation/edge/card/trust-store';
import type { DurableTable } from '@waystation/edge/outbox/durable-table';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import type { Outbox } from '@waystation/edge/ports';
import { RELEASED_AT_MS } from '@waystation/edge/software';
import { readBoot, sinceBoot } from '@waystation/edge/time/boot';
import { hostClock, trustedHost } from '@waystation/edge/time/clock-source';
import { clockFloor, watchClock } from '@waystation/edge/time/clock-watch';
import { createStamp, type Stamp } from '@waystation/edge/time/stamp';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { signStationToken } from '@waystation/runtime/station-token';
import { readText, type FleetConfig } from './config.ts';
import { beginFirstOutboxes } from './first-outboxes.ts';
import { shareTable } from './shared-table.ts';

/** One commit for everything that happens within this time: a province writes 200 records a second. */
const GROUP_MS = 20;
/** A day of a province offline is some 4 GB. */
const DISK_BUDGET_BYTES = 8 * 1024 ** 3;

/** Modes, rooms and executed orders of all stations. */
const KEPT_ROWS_MAX = 1_000_000;

export interface SharedParts {
  outboxOf: (station: StationCode) => Outbox;
  doorTable: (station: StationCode) => DurableTable;
  ordersTable: (station: StationCode) => DurableTable;
  stamp: () => Stamp;
  trust: FileTrustStore;
  /** Tells a new listener how things stand, then every change. */
  watchClock: (changed: (event: ClockEvent) => void) => { stop(): void };
  tokenFor: (station: StationCode) => string;
  tls: { ca?: Buffer };
  close(): void;
}

/**
 * `chance` must not be seeded: an epoch that comes twice would look like a history rewritten.
 * Throws Fault CONFIG_UNREADABLE, CONFIG_INVALID, CARD_KEY_INVALID, DATABASE_LOCKED or OUTBOX_FULL.
 */
export function openSharedParts(
  config: FleetConfig,
  codes: readonly StationCode[],
  clock: Clock,
  chance: () => number,
  log: Log,
): SharedParts {
  const { data_dir, gateway } = config;
  mkdirSync(data_dir, { recursive: true });
  const roots = readRootKeys(config.root_keys_file);
  const token_key = readTokenKey(config.token_key_file);
  const ca = gateway.ca_file === undefined ? undefined : readFileSync(gateway.ca_file);
  const path = join(data_dir, 'outbox.db');
  const boot = readBoot(chance);
  const boot_mono_ms = sinceBoot(clock.mono());
  const first_stamp = createStamp(clock, boot, { quality: () => 'synced' }, boot_mono_ms);
  beginFirstOutboxes(path, DISK_BUDGET_BYTES, codes, first_stamp, chance);
  const store = openOutboxStore({
    path,
    clock,
    random: chance,
    commit: { grouped_ms: GROUP_MS },
    disk_budget_bytes: DISK_BUDGET_BYTES,
    log,
  });
  const time_table = store.table('time', { rows: 8 });
  const source = hostClock({
    clock,
    discipline: trustedHost,
    floor: clockFloor(time_table, RELEASED_AT_MS),
  });
  const stamp = createStamp(clock, boot, source, boot_mono_ms);
  const watch = shareWatch((changed) =>
    watchClock({
      clock,
      source,
      boot,
      boot_mono_ms,
      table: time_table,
      setOffset: (of_boot, offset_ms) => store.setOffset(of_boot, offset_ms),
      changed,
    }),
  );
  return {
    outboxOf: (station) => ({ ...store.outbox(station, stamp), flush: committedAtTheEnd }),
    doorTable: shareTable(store.table('door', { rows: KEPT_ROWS_MAX })),
    ordersTable: shareTable(store.table('orders', { rows: KEPT_ROWS_MAX })),
    stamp,
    trust: rememberBodies(createTrustStore({ directory: join(data_dir, 'trust'), roots, log })),
    watchClock: watch.listen,
    tokenFor: (station) =>
      signStationToken(token_key, {
        station,
        issued_at_s: config.token_issued_at_s ?? Math.floor(clock.wall() / 1000),
      }),
    tls: ca === undefined ? {} : { ca },
    close() {
      watch.stop();
      store.close();
    },
  };
}

function readTokenKey(file: string): KeyObject {
  const pem = readText(file);
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Fault(
      'CONFIG_INVALID',
      { source: file, field: 'token_key_file', problem: 'not a private key in PEM' },
      cause,
    );
  }
}

/** A station that stops need not commit by itself: `close` commits for all of them, with one fsync. */
const committedAtTheEnd = () => Promise.resolve();

/** One look at the clock a second for all of them. */
function shareWatch(start: (changed: (event: ClockEvent) => void) => { stop(): void }) {
  const listeners = new Set<(event: ClockEvent) => void>();
  let latest: ClockEvent | null = null;
  const watch = start((event) => {
    latest = event;
    for (const listener of listeners) listener(event);
  });
  return {
    listen(listener: (event: ClockEvent) => void) {
      listeners.add(listener);
      if (latest !== null) listener({ ...latest, step_ms: 0 });
      return { stop: () => void listeners.delete(listener) };
    },
    stop: () => watch.stop(),
  };
}

/** The cloud tells each station the same key set and list: what was accepted once is not verified ten thousand times. */
function rememberBodies(trust: FileTrustStore): FileTrustStore {
  const once = (apply: (body: Uint8Array) => boolean) => {
    let accepted: Buffer | null = null;
    return (body: Uint8Array) => {
      if (accepted?.equals(body)) return false;
      const changed = apply(body);
      accepted = Buffer.from(body);
      return changed;
    };
  };
  return {
    ...trust,
    applyKeySet: once((body) => trust.applyKeySet(body)),
    applyStatusList: once((body) => trust.applyStatusList(body)),
  };
}
