import { mkdtempSync, openSync, readdirSync, rmSync, writeSync, closeSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import { epochMs, fakeClock, type FakeClock } from '@waystation/runtime/clock';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { openOutboxStore, type OutboxStore, type OutboxStoreOptions } from './outbox-store.ts';

const STATION = stationCode('370102001', 'W', 1);
const ALL = { records: 256, bytes: 128 * 1024 };
const stampAt = (mono: number) => ({ at: 1_780_000_000_000 + mono, mono, boot: 'abcdef01', clock: 'synced' as const });
const event = (n: number): EventRecord => ({ kind: 'mode', ...stampAt(n), mode: 'normal', cause: `event ${n}` });
const sample = (n: number): SampleRecord => ({ kind: 'report', ...stampAt(n), values: { temperature_cel: n % 80, co2_ppm: n % 900 } });

let dir: string;
let clock: FakeClock;
let stores: OutboxStore[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outbox-'));
  clock = fakeClock();
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(dir, { recursive: true });
});

function open(options: Partial<OutboxStoreOptions> = {}) {
  const store = openOutboxStore({
    path: join(dir, 'outbox.db'),
    clock,
    random: prng(1),
    commit: 'immediate',
    disk_budget_bytes: 16 * 1024 * 1024,
    log: silentLog,
    ...options,
  });
  stores.push(store);
  return { store, outbox: store.outbox(STATION, () => stampAt(0)) };
}

describe('two streams', () => {
  test('begins with an epoch record, numbers without a gap, chains', async () => {
    const { outbox } = open();
    expect(await outbox.appendEvent(event(1))).toEqual({ seq: 2 });
    expect(await outbox.appendEvent(event(2))).toEqual({ seq: 3 });
    const { epoch } = outbox.position('event');
    expect(epoch).toMatch(/^[0-9a-f]{12}$/);
    const first = outbox.read('event', 0, ALL);
    expect(first).toMatchObject({ last: 3, message: { epoch, first: 1, previous_hash: chainStart(STATION, epoch) } });
    expect(first?.message.records[0]).toMatchObject({ kind: 'epoch', reason: 'created' });
    const tail = outbox.read('event', 2, ALL);
    const hash = [0, 1].reduce((h, i) => chainNext(h, JSON.stringify(first?.message.records[i])), chainStart(STATION, epoch));
    expect(tail).toEqual({ last: 3, message: { epoch, first: 3, previous_hash: hash, records: [event(2)] } });
    expect(outbox.read('event', 3, ALL)).toBeNull();
    expect(outbox.read('sample', 0, ALL)).toBeNull();
  });
});
