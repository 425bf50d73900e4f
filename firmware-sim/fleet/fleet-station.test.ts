import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { outboxFileOn } from '@waystation/edge/outbox/outbox-file';
import { outboxStoreOn } from '@waystation/edge/outbox/outbox-store';
import type { UplinkTransport } from '@waystation/edge/ports';
import { EventRecord } from '@waystation/protocol/records';
import { stationCode, type StationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { createFleetStation } from './fleet-station.ts';
import { shareTable } from './shared-table.ts';
import { EVENTS_PER_VISIT } from './visits.ts';

const offline: UplinkTransport = { connect: () => Promise.reject(new Fault('UPLINK_LOST')) };
const TAKES = { water: 0.5, cups: 1, tissue: 0, medicine: 0 };
const STAY_MS = 20 * 60_000;

async function startStation(code: StationCode, poll_interval_ms: number) {
  const clock = fakeClock();
  const random = prng(5);
  const store = outboxStoreOn(outboxFileOn(new DatabaseSync(':memory:')), {
    clock,
    random,
    commit: { grouped_ms: 20 },
    disk_budget_bytes: 1e8,
    log: silentLog,
  });
  const stamp = () => ({
    at: Math.round(clock.wall()),
    mono: Math.round(clock.mono()),
    boot: '0badb007',
    clock: 'synced' as const,
  });
  const station = createFleetStation({
    code,
    config: { poll_interval_ms, report_interval_ms: 60_000 },
    shared: {
      outboxOf: (of) => store.outbox(of, stamp),
      doorTable: shareTable(store.table('door', { rows: 100 })),
      ordersTable: shareTable(store.table('orders', { rows: 100 })),
      stamp,
      trust: {
        current: () => ({ key_set: null, status_list: null }),
        signedSince_s: () => 0,
        versions: () => ({ key_set_version: 0, status_list_version: 0 }),
        applyKeySet: () => false,
        applyStatusList: () => false,
      },
      watchClock: () => ({ stop: () => {} }),
    },
    transport: offline,
    clock,
    random,
    chance: random,
    log: silentLog,
  });
  station.agent.start();
  await clock.advance(20_000);
  const events = (after = 0) => {
    const read = station.outbox.read('event', after, { records: 256, bytes: 100_000 });
    return (read?.message.records ?? []).map((record) => EventRecord.parse(record));
  };
  return { ...station, clock, events };
}

const described = (events: EventRecord[]) =>
  events.map((event) => {
    if (event.kind === 'door') return `door ${event.from} > ${event.to} (${event.cause})`;
    if (event.kind === 'input') return `${event.input} ${event.active}`;
    return event.kind;
  });

test.each([1_000, 2_000, 5_000])(
  'polled every %i ms, a visit is an exit, an entry and no alarm',
  async (poll_ms) => {
    const { hardware, outbox, clock, events } = await startStation(
      stationCode('370811011', 'W', 1),
      poll_ms,
    );
    for (let phase = 0; phase < 7; phase++) {
      await clock.advance((poll_ms * phase) / 7);
      const before = outbox.position('event').head;
      hardware.act({ do: 'letIn', stay_ms: STAY_MS, takes: TAKES });
      await clock.advance(STAY_MS + 5 * 60_000);
      const seen = described(events(before));
      expect(seen.filter((line) => /forced|heldOpen|fault/i.test(line))).toEqual([]);
      expect(seen.filter((line) => line.includes('> open'))).toHaveLength(2);
      expect(seen.filter((line) => line === 'egressPressed true')).toHaveLength(2);
      const presence = seen.filter((line) => line.startsWith('presence'));
      expect(presence).toEqual(['presence true', 'presence false']);
      // A slow poll may see the lock catch and free again between button and leaf.
      expect([EVENTS_PER_VISIT, EVENTS_PER_VISIT + 2]).toContain(seen.length);
    }
  },
);

test('a report a minute, not one more', async () => {
  const { outbox, clock } = await startStation(stationCode('370811011', 'W', 1), 2_000);
  const before = outbox.position('sample').head;
  await clock.advance(60 * 60_000);
  expect(outbox.position('sample').head - before).toBe(60);
});

test('the door opens to nobody without a card of this province', async () => {
  const { hardware, clock } = await startStation(stationCode('370811011', 'W', 1), 1_000);
  const scanned = hardware.scan('HELLO');
  await clock.advance(1_000);
  expect(await scanned).toMatchObject({ outcome: 'denied', denial: 'notOurCode' });
});
