/** For the tests of the outbox: stores on a disk of their own, records to put in, and a reader that checks what comes out. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { spanOf, type EventRecord, type SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { fakeClock } from '@waystation/runtime/clock';
import { chainNext } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import type { Outbox } from '../ports.ts';
import { openOutboxStore, type OutboxStore, type OutboxStoreOptions } from './outbox-store.ts';

export const STATION = stationCode('370102001', 'W', 1);
export const ALL = { records: 256, bytes: 128 * 1024 };
export const stampAt = (mono: number) => ({
  at: 1_780_000_000_000 + mono,
  mono,
  boot: 'abcdef01',
  clock: 'synced' as const,
});
export const event = (n: number): EventRecord => ({
  kind: 'mode',
  ...stampAt(n),
  mode: 'normal',
  cause: `event ${n}`,
});
export const sample = (n: number): SampleRecord => ({
  kind: 'report',
  ...stampAt(n),
  values: { temperature_cel: n % 80, co2_ppm: n % 900 },
});

/** One directory and one clock; opening twice on it is a restart. */
export class OutboxFixture {
  readonly dir = mkdtempSync(join(tmpdir(), 'outbox-'));
  readonly path = join(this.dir, 'outbox.db');
  readonly clock = fakeClock();
  readonly #stores: OutboxStore[] = [];

  open(options: Partial<OutboxStoreOptions> = {}) {
    const { path, clock } = this;
    const random = prng(this.#stores.length);
    const disk_budget_bytes = 16 * 1024 * 1024;
    const store = openOutboxStore({
      path,
      clock,
      random,
      commit: 'immediate',
      disk_budget_bytes,
      log: silentLog,
      ...options,
    });
    this.#stores.push(store);
    return { store, outbox: store.outbox(STATION, () => stampAt(0)) };
  }

  remove(): void {
    for (const store of this.#stores) store.close();
    rmSync(this.dir, { recursive: true });
  }
}

/** Everything from `after` on, message by message, as the uplink reads it; checks numbers, spans and the chain. */
export function drain(
  outbox: Outbox,
  stream: Stream,
  after = outbox.position(stream).acked,
  limits = ALL,
) {
  const records: { seq: number; record: EventRecord | SampleRecord }[] = [];
  const { epoch, head } = outbox.position(stream);
  let hash: string | null = null;
  let last = after;
  for (
    let read = outbox.read(stream, last, limits);
    read !== null;
    read = outbox.read(stream, last, limits)
  ) {
    expect(read.message).toMatchObject({ epoch, first: last + 1 });
    if (hash !== null) expect(read.message.previous_hash).toBe(hash);
    hash = read.message.previous_hash ?? null;
    for (const record of read.message.records) {
      records.push({ seq: last + 1, record });
      last += spanOf(record as SampleRecord);
      if (hash !== null) hash = chainNext(hash, JSON.stringify(record));
    }
    expect(read.last).toBe(last);
  }
  expect(last).toBe(head);
  return records;
}

export async function appendEvents(outbox: Outbox, from: number, to: number) {
  for (let n = from; n <= to; n += 1) await outbox.appendEvent(event(n));
}
