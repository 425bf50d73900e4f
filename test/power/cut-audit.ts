/** Opens what a power cut left with the product's own code and compares it with what the station had promised. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { durableReplayTable } from '@waystation/edge/card/durable-replay-table';
import { createReplayGuard } from '@waystation/edge/card/replay-guard';
import { createCommandJournal, JOURNAL_ROWS_MAX } from '@waystation/edge/command/command-journal';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import { EventRecord, SampleRecord, spanOf } from '@waystation/protocol/records';
import { type Clock, epochMs, fakeClock } from '@waystation/runtime/clock';
import { chainNext } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { type Promises, STARTED_AT, STATION, trustBody } from './promises.ts';
import type { Image } from './simulated-disk.ts';

export interface Finding {
  opened: boolean;
  set_aside: boolean;
  open_ms: number;
  events_checked: number;
  /** Accepted events, used cards, executed orders and trust files that are not there as promised. */
  lost: number;
  /** What is wrong, in words; empty when every promise was kept. */
  problems: string[];
}

type Outbox = ReturnType<ReturnType<typeof openStation>['store']['outbox']>;
interface Stored {
  epoch: string;
  acked: number;
  head: number;
  events: { seq: number; body: string }[];
}

export function layImage(image: Image, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'trust'), { recursive: true });
  for (const [path, content] of image.files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

function openStation(directory: string, at_ms: number) {
  const clock = fakeClock(epochMs(STARTED_AT + at_ms));
  const stamp = () => ({ at: clock.wall(), mono: 0, boot: '0000beef', clock: 'synced' as const });
  const store = openOutboxStore({
    path: join(directory, 'outbox.db'),
    clock,
    random: prng(at_ms),
    commit: 'immediate',
    disk_budget_bytes: 60_000,
    log: silentLog,
  });
  return { store, stamp, clock, outbox: store.outbox(STATION, stamp) };
}

/** The event stream as the uplink would send it; every record is one the cloud would take. */
function readEvents(outbox: Outbox, promises: Promises, problems: string[]): Stored {
  const { epoch, acked, head } = outbox.position('event');
  const events: Stored['events'] = [];
  let hash = epoch === promises.epoch ? promises.hashes.get(acked) : undefined;
  for (let last = acked; last < head;) {
    const read = outbox.read('event', last, { records: 256, bytes: 1 << 20 });
    if (read === null) {
      problems.push(`no event after ${last} although the head is ${head}`);
      break;
    }
    const { previous_hash, records } = read.message;
    if (hash !== undefined && previous_hash !== hash) problems.push(`the chain breaks at ${last}`);
    hash = previous_hash ?? '';
    for (const record of records) {
      const body = JSON.stringify(record);
      if (!EventRecord.safeParse(record).success) problems.push(`no event: ${body}`);
      events.push({ seq: (last += 1), body });
      hash = chainNext(hash, body);
    }
  }
  return { epoch, acked, head, events };
}

/** Returns how many accepted events are missing. */
function compareEvents(stored: Stored, promises: Promises, problems: string[]): number {
  if (promises.epoch === null) return 0;
  const { epoch, acked, head, events } = stored;
  if (epoch === promises.epoch) {
    if (acked > promises.acknowledging.event)
      problems.push(`${acked} acknowledged, at most ${promises.acknowledging.event} said`);
    const by_seq = new Map(events.map(({ seq, body }) => [seq, body]));
    const missing = promises.events.filter(
      ({ seq, body }) => seq > acked && by_seq.get(seq) !== body,
    );
    if (missing[0]) problems.push(`event ${missing[0].seq} is missing or another (head ${head})`);
    const reused = [...promises.hashes.keys()].some((seq) => seq > head);
    if (reused) problems.push(`the head fell to ${head}: its numbers would be used again`);
    return missing.length + (reused && missing.length === 0 ? 1 : 0);
  }
  // A new epoch: the bodies move on under new numbers, in the same order.
  let next = 0;
  let missing = 0;
  for (const { body } of promises.events) {
    const found = events.findIndex((event, index) => index >= next && event.body === body);
    if (found < 0) missing += 1;
    else next = found + 1;
  }
  if (missing > 0) problems.push(`${missing} accepted events did not reach the new epoch`);
  return missing;
}

/** Every number up to the head is accounted for by a report or a gap; times rise. */
function checkSamples(outbox: Outbox, promises: Promises, problems: string[]): void {
  const { epoch, acked, head } = outbox.position('sample');
  if (epoch === promises.epoch && head < promises.sample_head)
    problems.push(`samples were committed up to ${promises.sample_head}, the head is ${head}`);
  let mono = -1;
  for (let last = acked; last < head;) {
    const read = outbox.read('sample', last, { records: 256, bytes: 1 << 20 });
    if (read === null) {
      problems.push(`no sample after ${last} although the head is ${head}`);
      return;
    }
    for (const record of read.message.records) {
      const parsed = SampleRecord.safeParse(record);
      if (!parsed.success) {
        problems.push(`no sample: ${JSON.stringify(record)}`);
        continue;
      }
      if (parsed.data.kind === 'report' && parsed.data.mono <= mono)
        problems.push(`samples out of order at ${last}`);
      if (parsed.data.kind === 'report') mono = parsed.data.mono;
      last += spanOf(parsed.data);
    }
  }
}

/** Cards used and orders begun must be known. Returns how many are forgotten. */
function checkMemory(
  { store, clock }: { store: ReturnType<typeof openOutboxStore>; clock: Clock },
  promises: Promises,
  problems: string[],
): number {
  const replay = createReplayGuard(durableReplayTable(store.table('replay', { rows: 64 })), 64);
  const journal = createCommandJournal(store.table('orders', { rows: JOURNAL_ROWS_MAX + 1 }));
  const used = [...promises.cards].filter(([, { at_ms }]) => promises.at_ms - at_ms < 299_000);
  const forgotten = used.filter(
    ([card, { sequence }]) => !replay.isReplay(card, sequence, clock.wall()),
  );
  if (forgotten[0]) problems.push(`card ${forgotten[0][0]} would open with a used code`);
  const unknown = [...promises.commands].filter((id) => !journal.knowsId(id));
  if (unknown[0] !== undefined) problems.push(`order ${unknown[0]} would be executed twice`);
  return forgotten.length + unknown.length;
}

function checkTrust(directory: string, promises: Promises, problems: string[]): number {
  const path = join(directory, 'trust', 'key-set.json');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : null;
  const versions = [promises.trusted, promises.trusting];
  const whole = versions.some((v) => (v === 0 ? text === null : text === trustBody(v)));
  if (!whole)
    problems.push(`the trust file is none of ${versions.join(', ')}: ${text?.length ?? 'missing'}`);
  return whole ? 0 : 1;
}

/** It must go on: one event more, which is there after a restart with everything before it. */
async function goOn(directory: string, at_ms: number, stored: Stored, problems: string[]) {
  const first = openStation(directory, at_ms);
  const { seq } = await first.outbox.appendEvent({
    kind: 'mode',
    ...first.stamp(),
    mode: 'normal',
    cause: 'after the cut',
  });
  first.store.close();
  const second = openStation(directory, at_ms);
  const { epoch, head } = second.outbox.position('event');
  if (epoch !== stored.epoch || seq !== stored.head + 1 || head !== seq)
    problems.push(`after the cut event ${seq} was written, the next start finds ${head}`);
  second.store.close();
}

export async function auditCut(
  directory: string,
  promises: Promises,
  clock: Clock,
): Promise<Finding> {
  const problems: string[] = [];
  const finding = { opened: false, set_aside: false, open_ms: 0, events_checked: 0, lost: 0 };
  try {
    finding.lost += checkTrust(directory, promises, problems);
    const began = clock.mono();
    const station = openStation(directory, promises.at_ms);
    finding.open_ms = clock.mono() - began;
    try {
      finding.opened = true;
      const stored = readEvents(station.outbox, promises, problems);
      const renewed = stored.epoch !== promises.epoch;
      finding.set_aside = station.store.counters().files_set_aside > 0;
      if (renewed && promises.epoch !== null && !promises.renewing && !finding.set_aside)
        problems.push('a new epoch without a reason');
      finding.events_checked = promises.events.length;
      finding.lost += compareEvents(stored, promises, problems);
      checkSamples(station.outbox, promises, problems);
      finding.lost += checkMemory(station, promises, problems);
      station.store.close();
      await goOn(directory, promises.at_ms, stored, problems);
    } finally {
      station.store.close();
    }
  } catch (error) {
    problems.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  return { ...finding, problems };
}
