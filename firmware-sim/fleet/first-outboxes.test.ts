import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import { stationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { beginFirstOutboxes } from './first-outboxes.ts';

const CODES = Array.from({ length: 1200 }, (_, number) => stationCode('370811011', 'W', number));
const stamp = () => ({
  at: 1_790_000_000_000,
  mono: 1,
  boot: '0badb007',
  clock: 'synced' as const,
});

test('the store finds what was begun, with an epoch of its own for each, and nothing is begun twice', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'fleet-')), 'outbox.db');
  const begin = (count: number) =>
    beginFirstOutboxes(path, 1e9, CODES.slice(0, count), stamp, Math.random);
  expect(begin(1100)).toBe(1100);
  expect(begin(1200)).toBe(100);
  const store = openOutboxStore({
    path,
    clock: systemClock(),
    random: Math.random,
    commit: 'immediate',
    disk_budget_bytes: 1e9,
    log: silentLog,
  });
  const positions = CODES.map((code) => store.outbox(code, stamp).position('event'));
  expect(positions.every(({ head, acked }) => head === 1 && acked === 0)).toBe(true);
  expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(CODES.length);
  expect(store.counters().epochs_begun).toBe(0);
  store.close();
});
