/** One run: the world is built, hurt by plan, healed, drained and audited. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { audit, type Evidence, type Verdict } from './audit.ts';
import { drain, type Drained } from './drain.ts';
import { readPoints, readStored, withDatabase } from './evidence.ts';
import { inflict } from './faults.ts';
import { rosterOf, type WorldSize } from './layout.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { PACE, planFaults, printPlan, type Pace, type PlannedFault } from './plan.ts';
import { inviteVisitors } from './visitors.ts';
import { watchPrefixes } from './watch.ts';
import { buildWorld, type World } from './world.ts';

export interface ChaosOptions {
  seed: number;
  minutes: number;
  size: WorldSize;
  pace?: Pace;
  /** Empty; kept when the run fails. */
  directory: string;
  clock: Clock;
  /** What a person reads. */
  say: (text: string) => void;
  /** Ends the run early: everything is stopped, nothing is judged. */
  signal: AbortSignal;
}

export interface Figures {
  produced: number;
  committed: number;
  lost: number;
  duplicated: number;
  out_of_order: number;
  altered: number;
  late_openings: number;
  faults: number;
  seed: number;
  minutes: number;
  drained: boolean;
  drain_s: number;
  scans: number;
  granted: number;
  unanswered: number;
  orders: number;
}

export interface Outcome {
  passed: boolean;
  figures: Figures;
}

/** Null when it was interrupted. Rejects when the world cannot be built or brought back. */
export async function runChaos(options: ChaosOptions): Promise<Outcome | null> {
  const { seed, minutes, size, directory, clock, say } = options;
  const plan = planFaults(seed, minutes, rosterOf(size), options.pace ?? PACE);
  say(`seed ${seed}, ${minutes} min, ${plan.length} faults\n${printPlan(plan)}`);
  const ledger = openLedger(join(directory, 'ledger.jsonl'));
  writeFileSync(join(directory, 'plan.txt'), printPlan(plan));
  const tell = (text: string) => {
    ledger.note('said', { text });
    say(text);
  };
  let world: World | null = null;
  try {
    world = await buildWorld({ directory, size, clock, tell, signal: options.signal });
    tell(`the world stands: ${[...world.parts.keys()].join(', ')}`);
    const outcome = await hurtAndJudge(options, { world, ledger, plan, tell });
    if (outcome?.passed === false) world.keepOutboxes();
    return outcome;
  } finally {
    await world?.stop();
    ledger.close();
  }
}

interface Scene {
  world: World;
  ledger: Ledger;
  plan: readonly PlannedFault[];
  tell: (text: string) => void;
}

async function hurtAndJudge(options: ChaosOptions, scene: Scene): Promise<Outcome | null> {
  const { clock, seed, signal } = options;
  const { world, ledger, plan, tell } = scene;
  const visitors = await inviteVisitors(world, ledger, clock, prng(seed + 1));
  const watch = watchPrefixes(world.postgres.url, clock);
  let drained: Drained;
  try {
    try {
      await hurt(options, scene);
    } finally {
      await visitors.goHome();
    }
    if (signal.aborted) return null;
    tell('all healed; draining');
    drained = await drain(world, clock, tell);
  } finally {
    await watch.stop();
  }
  const stored = await withDatabase(world.postgres.url, readStored);
  const evidence: Evidence = {
    ...stored,
    produced: drained.produced,
    wire: world.wiretap.streams(),
    points: await readPoints((statement) => world.influxd.query(statement)),
    observed: watch.findings,
    scans: ledger.scans,
    orders: ledger.orders,
    jumps: ledger.jumps,
    boot_at: clock.wall() - Number(process.hrtime.bigint() / 1_000_000n),
  };
  const verdict = audit(evidence);
  report(scene, verdict, drained, watch.looks);
  const figures = figuresOf(options, plan, verdict, drained, ledger);
  const passed = drained.drained && Object.values(verdict.counts).every((count) => count === 0);
  return { passed, figures };
}

/** Faults begin when the plan says, and end by themselves. */
async function hurt({ clock, seed, signal, minutes }: ChaosOptions, scene: Scene): Promise<void> {
  const { world, ledger, plan, tell } = scene;
  const began_at = clock.mono();
  const running: Promise<void>[] = [];
  const aborting = new AbortController();
  signal.addEventListener('abort', () => aborting.abort(), { once: true });
  for (const fault of plan) {
    await clock.sleep(began_at + fault.at_ms - clock.mono(), aborting.signal);
    if (aborting.signal.aborted) break;
    tell(`fault ${printPlan([fault]).trimEnd()}`);
    const inflicting = inflict({ world, ledger, clock, seed, signal: aborting.signal }, fault);
    inflicting.catch(() => aborting.abort()); // told below
    running.push(inflicting);
  }
  await clock.sleep(began_at + minutes * 60_000 - clock.mono(), aborting.signal);
  await Promise.all(running);
}

function report(scene: Scene, verdict: Verdict, drained: Drained, looks: number): void {
  const { tell, world } = scene;
  const { messages, records, unread } = world.wiretap.counts;
  tell(`on the wire: ${messages} messages, ${records} different records, ${unread} unreadable`);
  tell(`the event table was looked at ${looks} times`);
  for (const { class: kind, station, stream, epoch, seq, what } of verdict.first)
    tell(`first ${kind}: ${station} ${stream} ${epoch} ${seq}: ${what}`);
  for (const line of drained.held) tell(`not drained: ${line}`);
}

function figuresOf(
  { seed, minutes }: ChaosOptions,
  plan: readonly PlannedFault[],
  { produced, committed, counts }: Verdict,
  { drained, drain_s }: Drained,
  { scans, orders }: Ledger,
): Figures {
  const { lost, duplicated, out_of_order, altered, late } = counts;
  const met = (outcome: string) => scans.filter((scan) => scan.outcome === outcome).length;
  return {
    produced,
    committed,
    lost,
    duplicated,
    out_of_order,
    altered,
    late_openings: late,
    faults: plan.length,
    seed,
    minutes,
    drained,
    drain_s,
    scans: scans.length,
    granted: met('granted'),
    unanswered: met('unanswered'),
    orders: orders.length,
  };
}

/** After a run that passed nothing of it is worth keeping. */
export function forget(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
