/** Station, gateway and cloud under every failure at once, thousands of times: what was promised is committed, once, in order. */
import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import type { SampleRecord } from '@waystation/protocol/records';
import { prng } from '@waystation/runtime/prng';
import type { Ledger } from './station.ts';
import { World, type Row, type Weather } from './world.ts';

const FIRST_SEED = Number(process.env['SIMULATION_SEED'] ?? 1);
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 600);
const TORTURE_MS = 20_000;

function weatherOf(seed: number, part: Partial<Weather> = {}): Weather {
  const random = prng(seed ^ 0x5eed);
  const one = <T>(...choices: T[]) => choices[Math.floor(random() * choices.length)] as T;
  return {
    loss: one(0, 0.02, 0.2, 0.5),
    duplicate: one(0, 0.02, 0.3),
    delay_ms: one(5, 50, 1_000),
    refuse_connect: one(0, 0.3),
    session_ms: one(1_000, 5_000, 60_000),
    station_ms: one(2_000, 15_000),
    gateway_ms: one(3_000, 20_000),
    cloud_ms: one(3_000, 20_000),
    disk_budget_bytes: 4_000_000,
    restore_disk: false,
    ...part,
  };
}

/** Rows of one epoch follow each other from 1 without a hole: nobody else may check this for the cursor. */
function checkNumbers(rows: readonly Row[]): void {
  const next = new Map<string, number>();
  for (const { epoch, seq, span } of rows) {
    assert.equal(seq, next.get(epoch) ?? 1, `epoch ${epoch} jumps`);
    next.set(epoch, seq + span);
  }
}

function eventNames(rows: readonly Row[], ledger: Ledger): string[] {
  return rows.flatMap(({ record, span }) => {
    assert.equal(span, 1);
    if (record.kind === 'epoch') return [];
    assert.equal(record.kind, 'mode');
    assert.deepEqual(record, ledger.produced.get(record.cause), 'a record that nobody produced');
    return [record.cause];
  });
}

const numberOf = (name: string) => Number(name.slice('event '.length));

function checkEvents(rows: readonly Row[], ledger: Ledger): void {
  checkNumbers(rows);
  const names = eventNames(rows, ledger);
  const committed = new Set(names);
  for (const name of ledger.promised) assert(committed.has(name), `lost ${name}`);
  if (ledger.restored) return; // what the cloud already had comes again under the new epoch: better twice than never
  assert.equal(committed.size, names.length, 'an event twice');
  for (let i = 1; i < names.length; i += 1) {
    assert(numberOf(names[i] ?? '') > numberOf(names[i - 1] ?? ''), 'events out of order');
  }
}

/** Every durable sample is stood for by exactly one row; a thinned row shows the newest of those it stands for. */
function checkSamples(
  rows: readonly Row[],
  durable: readonly SampleRecord[],
): { thinned: number; gap_rows: number } {
  checkNumbers(rows);
  let at = 0;
  const seen = { thinned: 0, gap_rows: 0 };
  for (const { span, record } of rows) {
    at += span;
    const newest = durable[at - 1];
    assert(newest?.kind === 'report', 'more samples committed than were made');
    assert.equal(record.at, newest.at);
    if (record.kind === 'gap') {
      seen.gap_rows += 1;
      continue;
    }
    assert(record.kind === 'report');
    assert.equal(record.values.co2_ppm, newest.values.co2_ppm);
    if (newest.values.cups_count !== undefined)
      assert.equal(record.values.cups_count, newest.values.cups_count);
    if (span === 1 && record.span === undefined) assert.deepEqual(record, newest);
    else seen.thinned += 1;
  }
  assert.equal(at, durable.length, 'samples are missing');
  return seen;
}

async function simulate(seed: number, weather: Weather, torture_ms: number) {
  const world = new World(seed, weather, 2);
  const seen = { events: 0, thinned: 0, gap_rows: 0, restored: 0 };
  try {
    assert(await world.run(torture_ms), 'no progress within an hour');
    for (const station of world.stations) {
      const { ledger } = station;
      station.finish();
      const events = world.rows.get(`${station.code}/event`) ?? [];
      checkEvents(events, ledger);
      seen.events += events.length;
      if (ledger.restored) {
        seen.restored += 1;
        continue;
      }
      const samples = checkSamples(world.rows.get(`${station.code}/sample`) ?? [], ledger.samples);
      seen.thinned += samples.thinned;
      seen.gap_rows += samples.gap_rows;
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(
      `seed ${seed}: ${problem} (SIMULATION_SEED=${seed} SIMULATION_SEEDS=1 replays it)`,
      { cause: error },
    );
  }
  return { ...world.counts, ...seen };
}

type Totals = Awaited<ReturnType<typeof simulate>>;

async function sweep(count: number, torture_ms: number, part: Partial<Weather>): Promise<Totals> {
  const all: Totals[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + count; seed += 1)
    all.push(await simulate(seed, weatherOf(seed, part), torture_ms));
  return all.reduce(
    (sum, one) =>
      Object.fromEntries(
        Object.keys(sum).map((key) => [key, sum[key as keyof Totals] + one[key as keyof Totals]]),
      ) as Totals,
  );
}

describe('station, gateway and cloud', () => {
  test('what was promised is committed exactly once and in order, whatever fails', async () => {
    const totals = await sweep(SEEDS, TORTURE_MS, {});
    // A storm that never lost, repeated, crashed or overtook anything would prove nothing.
    if (SEEDS >= 100) {
      for (const kind of ['lost', 'duplicated', 'crashes', 'gaps', 'known'] as const)
        expect(totals[kind], kind).toBeGreaterThan(SEEDS);
    }
    expect(totals.forks, 'a fork where there was none').toBe(0);
    process.stdout.write(`${JSON.stringify(totals)}\n`);
  });

  test('on a small disk every sample is stored, thinned or in a gap', async () => {
    const seeds = Math.ceil(SEEDS / 4);
    const totals = await sweep(seeds, 2 * TORTURE_MS, {
      disk_budget_bytes: 24_000,
      refuse_connect: 0.95,
      session_ms: 2_000,
    });
    if (seeds >= 100) {
      expect(totals.thinned).toBeGreaterThan(seeds);
      expect(totals.gap_rows).toBeGreaterThan(seeds / 10);
    }
    process.stdout.write(`${JSON.stringify(totals)}\n`);
  });

  test('a restored disk is found, and what was promised after it is not lost', async () => {
    const seeds = Math.ceil(SEEDS / 4);
    const totals = await sweep(seeds, TORTURE_MS, { restore_disk: true, station_ms: 4_000 });
    if (seeds >= 100) {
      expect(totals.restored).toBeGreaterThan(seeds / 4);
      expect(totals.forks).toBeGreaterThan(seeds / 4);
    }
    process.stdout.write(`${JSON.stringify(totals)}\n`);
  });
});
