/** Thousands of power cuts: records stations at work, cuts their disk at random points, audits what is left. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { requirePart } from '../servers/parts.ts';
import { auditCut, layImage } from './cut-audit.ts';
import { type DiskStep, readDiskHistory, TRACED_CALLS } from './disk-history.ts';
import { hear, noPromises, Said } from './promises.ts';
import { type Flush, SimulatedDisk } from './simulated-disk.ts';

export interface CutsOptions {
  seed: number;
  /** Numbers of the cuts to make. Cut K is the same whichever others are made. */
  from: number;
  to: number;
  flush: Flush;
}

export interface CutFigures {
  cuts: number;
  opened: number;
  accepted_events: number;
  lost: number;
  broken: number;
  set_aside: number;
  slowest_open_ms: number;
  torn: number;
  reordered: number;
  stale: number;
  traces: number;
  failures: { cut: number; problems: string[] }[];
}

const STEPS = 400;
export const CUTS_A_TRACE = 500;
const FAILURES_TOLD_MAX = 20;
const WRITER = fileURLToPath(new URL('station-writer.ts', import.meta.url));
/** Thousands of images are laid and opened; memory is good enough a place for that. */
const ROOT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Runs the writer under strace. */
export function recordHistory(seed: number, steps = STEPS): DiskStep[] {
  const directory = mkdtempSync(join(ROOT, 'power-'));
  try {
    const [record, data] = [join(directory, 'strace'), join(directory, 'data')];
    mkdirSync(data);
    const writer = [process.execPath, WRITER, data, String(seed), String(steps)];
    const options = ['-f', '-qq', '-xx', '-s', '10000000', '-e', `trace=${TRACED_CALLS}`];
    execFileSync(
      requirePart('strace'),
      [...options, '-e', 'signal=none', '-o', record, ...writer],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    return readDiskHistory(readFileSync(record, 'latin1'), data);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Cut {
  number: number;
  /** Steps that began before the cut; the last of them may be there in part or not at all. */
  after: number;
  random: () => number;
}

const RARE = new Set<DiskStep['step']>(['create', 'rename', 'unlink', 'truncate', 'syncDirectory']);

/** A cut in four falls beside a rare step: creating, renaming, truncating, and what lies around a checkpoint. */
function planCut(seed: number, number: number, steps: number, rare: readonly number[]): Cut {
  const random = prng((seed * 1_000_003 + number * 7_919) >>> 0);
  const anywhere = 1 + Math.floor(random() * steps);
  const near = (rare[Math.floor(random() * rare.length)] ?? 0) + Math.floor(random() * 7) - 2;
  const after = random() < 0.25 ? Math.min(steps, Math.max(1, near)) : anywhere;
  return { number, after, random };
}

export function noFigures(): CutFigures {
  return {
    cuts: 0,
    opened: 0,
    accepted_events: 0,
    lost: 0,
    broken: 0,
    set_aside: 0,
    slowest_open_ms: 0,
    torn: 0,
    reordered: 0,
    stale: 0,
    traces: 0,
    failures: [],
  };
}

export function addFigures(a: CutFigures, b: CutFigures): CutFigures {
  return {
    cuts: a.cuts + b.cuts,
    opened: a.opened + b.opened,
    accepted_events: a.accepted_events + b.accepted_events,
    lost: a.lost + b.lost,
    broken: a.broken + b.broken,
    set_aside: a.set_aside + b.set_aside,
    slowest_open_ms: Math.max(a.slowest_open_ms, b.slowest_open_ms),
    torn: a.torn + b.torn,
    reordered: a.reordered + b.reordered,
    stale: a.stale + b.stale,
    traces: a.traces + b.traces,
    failures: [...a.failures, ...b.failures].slice(0, FAILURES_TOLD_MAX),
  };
}

/** The cuts of one trace, in the order of time. */
async function cutTrace(options: CutsOptions, trace: number, clock: Clock): Promise<CutFigures> {
  const steps = recordHistory((options.seed * 4_096 + trace) >>> 0);
  const rare = steps.flatMap(({ step }, index) => (RARE.has(step) ? [index] : []));
  const cuts: Cut[] = [];
  const last = Math.min(options.to, (trace + 1) * CUTS_A_TRACE);
  for (let number = Math.max(options.from, trace * CUTS_A_TRACE); number < last; number += 1)
    cuts.push(planCut(options.seed, number, steps.length, rare));
  cuts.sort((a, b) => a.after - b.after);

  const directory = mkdtempSync(join(ROOT, 'power-'));
  const disk = new SimulatedDisk(options.flush);
  const promises = noPromises();
  const figures = { ...noFigures(), traces: 1 };
  let done = 0;
  try {
    for (const cut of cuts) {
      for (const step of steps.slice(done, cut.after)) {
        disk.apply(step);
        if (step.step === 'said') hear(promises, Said.parse(JSON.parse(step.text)));
      }
      done = cut.after;
      const image = disk.cut(cut.random);
      layImage(image, directory);
      const finding = await auditCut(directory, promises, clock);
      figures.cuts += 1;
      figures.opened += finding.opened ? 1 : 0;
      figures.accepted_events += finding.events_checked;
      figures.lost += finding.lost;
      figures.broken += finding.problems.length > 0 ? 1 : 0;
      figures.set_aside += finding.set_aside ? 1 : 0;
      figures.slowest_open_ms = Math.max(figures.slowest_open_ms, Math.round(finding.open_ms));
      figures.torn += image.torn ? 1 : 0;
      figures.reordered += image.reordered ? 1 : 0;
      figures.stale += image.stale ? 1 : 0;
      if (finding.problems.length > 0 && figures.failures.length < FAILURES_TOLD_MAX)
        figures.failures.push({ cut: cut.number, problems: finding.problems });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  return figures;
}

export async function runCuts(options: CutsOptions, clock: Clock): Promise<CutFigures> {
  let figures = noFigures();
  const first = Math.floor(options.from / CUTS_A_TRACE);
  for (let trace = first; trace * CUTS_A_TRACE < options.to; trace += 1)
    figures = addFigures(figures, await cutTrace(options, trace, clock));
  return figures;
}
