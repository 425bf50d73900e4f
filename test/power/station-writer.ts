/**
 * The process whose disk is recorded: `node station-writer.ts DIRECTORY SEED STEPS`. Everything that a station makes
 * durable, on a clock of its own so that a seed gives the same calls each time; says what it has promised.
 */
import { mkdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { durableReplayTable } from '@waystation/edge/card/durable-replay-table';
import { createReplayGuard } from '@waystation/edge/card/replay-guard';
import { createCommandJournal, JOURNAL_ROWS_MAX } from '@waystation/edge/command/command-journal';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import type { EventRecord } from '@waystation/protocol/records';
import type { Stream } from '@waystation/protocol/topics';
import { epochMs, fakeClock } from '@waystation/runtime/clock';
import { replaceFile } from '@waystation/runtime/durable-file';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { CARDS, type Said, STARTED_AT, STATION, trustBody } from './promises.ts';

const [directory = '', seed = '1', steps = '100'] = process.argv.slice(2);
const random = prng(Number(seed));
const pick = (count: number) => Math.floor(random() * count);
const clock = fakeClock(epochMs(STARTED_AT));

type Untimed<S> = S extends unknown ? Omit<S, 'at_ms'> : never;
const say = (sentence: Untimed<Said>) =>
  void writeSync(1, `${JSON.stringify({ ...sentence, at_ms: clock.mono() })}\n`);

let n = 0;
const stamp = () => ({
  at: clock.wall(),
  mono: (n += 1),
  boot: '0000cafe',
  clock: 'synced' as const,
});

function start() {
  const store = openOutboxStore({
    path: join(directory, 'outbox.db'),
    clock,
    random,
    commit: 'immediate',
    disk_budget_bytes: 60_000, // so small that samples are thinned and dropped all the time
    log: silentLog,
  });
  const outbox = store.outbox(STATION, stamp);
  const replay = createReplayGuard(durableReplayTable(store.table('replay', { rows: 64 })), 64);
  const journal = createCommandJournal(store.table('orders', { rows: JOURNAL_ROWS_MAX + 1 }));
  return { store, outbox, replay, journal };
}
let station = start();

const mode = (): EventRecord => ({
  kind: 'mode',
  ...stamp(),
  mode: 'normal',
  cause: `event ${n} ${'x'.repeat(pick(150))}`,
});

/** Everything not acknowledged, as the uplink would read it: after a start and a new epoch. */
function tellStored(): void {
  const { epoch, acked, head } = station.outbox.position('event');
  for (let last = acked; last < head;) {
    const read = station.outbox.read('event', last, { records: 256, bytes: 1 << 20 });
    if (read === null) throw new Error(`nothing after ${last}`);
    for (const record of read.message.records)
      say({ said: 'event', epoch, seq: (last += 1), body: JSON.stringify(record) });
  }
}
function tellSamples(): void {
  const { epoch, head } = station.outbox.position('sample');
  say({ said: 'samples', epoch, head });
}

async function append(...records: EventRecord[]): Promise<void> {
  const { epoch } = station.outbox.position('event');
  const durable = await Promise.all(records.map((record) => station.outbox.appendEvent(record)));
  durable.forEach(({ seq }, index) =>
    say({ said: 'event', epoch, seq, body: JSON.stringify(records[index]) }),
  );
  tellSamples();
}

function acknowledge(stream: Stream, part: number): void {
  const { epoch, acked, head } = station.outbox.position(stream);
  const through = acked + Math.floor((head - acked) * part);
  say({ said: 'acknowledging', stream, through });
  station.outbox.acknowledge({ stream, epoch, through });
}

function sample(): void {
  station.outbox.appendSample({ kind: 'report', ...stamp(), values: { co2_ppm: 400 + pick(99) } });
}

const card_sequences = new Map<number, number>();
async function admit(): Promise<void> {
  const card = pick(CARDS);
  const sequence = (card_sequences.get(card) ?? 0) + 1 + pick(9);
  card_sequences.set(card, sequence);
  station.replay.remember(card, sequence, clock.wall());
  const access = { outcome: 'granted', method: 'card', card, org: 1, decision_us: 900 } as const;
  await append({ kind: 'access', ...stamp(), ...access, card_issued_at_s: 1_780_000_000 });
  say({ said: 'card', card, sequence });
}

async function execute(): Promise<void> {
  const id = `order-${(n += 1)}`;
  const deadline_at = clock.wall() + 3_600_000;
  station.journal.begin({
    kind: 'open',
    id,
    nonce: `nonce-${n}`,
    issued_at: clock.wall(),
    deadline_at,
    min_clock: 'synced',
    actor: 'officer',
    reason: 'a worker rang',
  });
  await append({ kind: 'command', ...stamp(), id, status: 'received' });
  say({ said: 'command', id });
  station.journal.finish(id, 'succeeded');
  if (random() < 0.5) await append({ kind: 'command', ...stamp(), id, status: 'succeeded' });
}

let version = 0;
function trust(): void {
  version += 1;
  say({ said: 'trusting', version });
  replaceFile(join(directory, 'trust', 'key-set.json'), trustBody(version));
  say({ said: 'trusted', version });
}

function renew(): void {
  say({ said: 'renewing' });
  const { epoch, head } = station.outbox.position('event');
  station.outbox.acknowledge({ stream: 'event', epoch, through: head, problem: 'fork' });
  say({ said: 'renewed', epoch: station.outbox.position('event').epoch });
  tellStored();
  tellSamples();
}

function restart(): void {
  station.store.close();
  station = start();
  tellSamples();
}

async function live(): Promise<void> {
  const chance = random();
  if (chance < 0.3) await append(mode());
  else if (chance < 0.37) await append(...Array.from({ length: 2 + pick(6) }, mode));
  else if (chance < 0.6) for (let count = pick(30); count >= 0; count -= 1) sample();
  else if (chance < 0.7) await admit();
  else if (chance < 0.78) await execute();
  else if (chance < 0.85) {
    await clock.advance(5_000);
    tellSamples();
  } else if (chance < 0.92) acknowledge('event', random());
  else if (chance < 0.93) acknowledge('sample', random());
  else if (chance < 0.96) trust();
  else if (chance < 0.97) station.store.setOffset(`0000${1000 + pick(9000)}`, pick(1e6));
  else if (chance < 0.98) renew();
  else if (chance < 0.99) restart();
  else station.store.table(`spare ${(n += 1)}`, { rows: 4 }).put('key', 'value');
  const { acked, head } = station.outbox.position('event');
  if (head - acked > 120) acknowledge('event', 0.9);
}

mkdirSync(join(directory, 'trust'), { recursive: true });
tellStored();
for (let step = 0; step < Number(steps); step += 1) await live();
station.store.close();
