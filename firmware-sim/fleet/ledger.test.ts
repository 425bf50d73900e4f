import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { outboxFileOn } from '@waystation/edge/outbox/outbox-file';
import { outboxStoreOn } from '@waystation/edge/outbox/outbox-store';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { createDelays } from './delays.ts';
import { digestOf, openLedger } from './ledger.ts';

const STATION = stationCode('370811011', 'W', 1);
const stamp = (at: number) => ({ at, mono: at, boot: '0badb007', clock: 'synced' as const });
const event = (at: number): EventRecord => ({
  kind: 'mode',
  ...stamp(at),
  mode: 'normal',
  cause: 'test',
});
const sample = (at: number): SampleRecord => ({
  kind: 'report',
  ...stamp(at),
  values: { co2_ppm: at },
});

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ledger-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open() {
  const clock = fakeClock();
  const store = outboxStoreOn(outboxFileOn(new DatabaseSync(':memory:')), {
    clock,
    random: prng(1),
    commit: { grouped_ms: 20 },
    disk_budget_bytes: 1e8,
    log: silentLog,
  });
  const path = join(directory, 'ledger.jsonl');
  const ledger = openLedger(path, clock);
  const outbox = ledger.watch(
    STATION,
    store.outbox(STATION, () => stamp(0)),
  );
  const lines = () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => z.array(z.unknown()).parse(JSON.parse(line)));
  return { clock, ledger, outbox, lines };
}

test('what is durable stands in the ledger with its number and digest; what is not, does not', async () => {
  const { clock, ledger, outbox, lines } = open();
  const { epoch } = outbox.position('event');
  const first = outbox.appendEvent(event(5));
  outbox.appendSample(sample(6));
  outbox.appendSample(sample(7));
  await clock.advance(10);
  ledger.close();
  expect(lines()).toEqual([
    [STATION, 'event', epoch, 1, 'opened'],
    [STATION, 'sample', epoch, 0, 'opened'],
  ]);
  await clock.advance(10);
  expect(await first).toEqual({ seq: 2 });
});

test('records are numbered as the outbox numbers them', async () => {
  const { clock, ledger, outbox, lines } = open();
  const { epoch } = outbox.position('event');
  void outbox.appendEvent(event(5));
  outbox.appendSample(sample(6));
  outbox.appendSample(sample(7));
  await clock.advance(1_000);
  outbox.appendSample(sample(8));
  await clock.advance(1_000);
  ledger.close();
  expect(new Set(lines().slice(2).map(String))).toEqual(
    new Set(
      [
        [STATION, 'event', epoch, 2, digestOf(event(5)), 5],
        [STATION, 'sample', epoch, 1, digestOf(sample(6)), 6],
        [STATION, 'sample', epoch, 2, digestOf(sample(7)), 7],
        [STATION, 'sample', epoch, 3, digestOf(sample(8)), 8],
      ].map(String),
    ),
  );
});

test('an acknowledgement is timed from the making of the record', async () => {
  const { clock, ledger, outbox } = open();
  const { epoch } = outbox.position('event');
  outbox.appendSample(sample(6));
  void outbox.appendEvent(event(5));
  await clock.advance(100);
  outbox.acknowledge({ stream: 'event', epoch, through: 2 });
  outbox.acknowledge({ stream: 'sample', epoch: 'abcdefabcdef', through: 1 });
  outbox.acknowledge({ stream: 'sample', epoch, through: 1, problem: 'gap' });
  expect(ledger.delays().event).toEqual({ n: 1, p50_ms: 100, p99_ms: 100, max_ms: 100 });
  expect(ledger.delays().sample.n).toBe(0);
  await clock.advance(100);
  outbox.acknowledge({ stream: 'sample', epoch, through: 1 });
  outbox.acknowledge({ stream: 'sample', epoch, through: 1 });
  expect(ledger.delays().sample).toEqual({ n: 1, p50_ms: 200, p99_ms: 200, max_ms: 200 });
  outbox.appendSample(sample(7));
  await clock.advance(100);
  ledger.clearDelays();
  outbox.acknowledge({ stream: 'sample', epoch, through: 2 });
  expect(ledger.delays().sample.n).toBe(0);
  ledger.close();
});

test('a digest does not depend on the order of the keys, nor on what a JSON column does to numbers', () => {
  expect(digestOf({ b: 1, a: [{ d: 1.5, c: 'x' }] })).toBe(
    digestOf(JSON.parse('{"a": [{"c": "x", "d": 1.50}], "b": 1.0}')),
  );
  expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: 2 }));
  expect(digestOf({ a: 1, b: undefined })).toBe(digestOf({ a: 1 }));
});

test('quantiles of delays are exact to the millisecond', () => {
  const delays = createDelays();
  expect(delays.figures()).toEqual({ n: 0, p50_ms: 0, p99_ms: 0, max_ms: 0 });
  for (let ms = 1; ms <= 200; ms += 1) delays.note(ms);
  delays.note(1e9);
  expect(delays.figures()).toEqual({ n: 201, p50_ms: 101, p99_ms: 199, max_ms: 120_000 });
});
