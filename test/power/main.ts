/**
 * `npm run power -- [--cuts N] [--seed N] [--cut K] [--threads N]`: power cuts on a simulated disk. What a person reads goes to
 * standard error, the last line is JSON; ends with 1 when a promise was broken.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { systemClock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { readFlags, wholeNumber } from '@waystation/scripts/local/flags';
import {
  addFigures,
  CUTS_A_TRACE,
  type CutFigures,
  type CutsOptions,
  noFigures,
  runCuts,
} from './cuts.ts';

const THREADS_MAX = 64;
const CUTS_DEFAULT = '20000';

function runThread(workerData: CutsOptions): Promise<CutFigures> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('cuts-worker.ts', import.meta.url), { workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** A few traces at a time on every core. */
async function runThreads(seed: number, cuts: number, threads: number): Promise<CutFigures> {
  let figures = noFigures();
  let from = 0;
  const work = async () => {
    while (from < cuts) {
      const to = Math.min(cuts, from + CUTS_A_TRACE);
      const range = { seed, from, to, flush: 'honest' as const };
      from = to;
      const more = await runThread(range).catch((error: unknown) => {
        from = cuts; // the other threads begin nothing new
        throw error;
      });
      figures = addFigures(figures, more); // not around the await: another thread's figures would be lost
      if (figures.cuts % (10 * CUTS_A_TRACE) === 0) console.error(`${figures.cuts} cuts`);
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  assert.equal(figures.cuts, cuts, 'a thread did not make its cuts');
  return figures;
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = readFlags(
    { cuts: text, seed: text, cut: text, threads: text },
    process.argv.slice(2),
  );
  const seed = wholeNumber('seed', flags.seed ?? '1', 0, 1_000_000);
  const cuts = wholeNumber('cuts', flags.cuts ?? CUTS_DEFAULT, 1, 10_000_000);
  const cores = String(availableParallelism());
  const threads = wholeNumber('threads', flags.threads ?? cores, 1, THREADS_MAX);
  const clock = systemClock();
  const began = clock.mono();
  const cut = flags.cut === undefined ? null : wholeNumber('cut', flags.cut, 0, 10_000_000);
  const { failures, ...figures } =
    cut === null
      ? await runThreads(seed, cuts, threads)
      : await runCuts({ seed, from: cut, to: cut + 1, flush: 'honest' }, clock);
  for (const { cut, problems } of failures) {
    console.error(`seed ${seed}, cut ${cut}: ${problems.join('; ')}`);
    console.error(`  again: npm run power -- --seed ${seed} --cut ${cut}`);
  }
  const seconds = Math.round((clock.mono() - began) / 1_000);
  console.log(JSON.stringify({ seed, ...figures, seconds }));
  if (figures.broken > 0 || figures.opened < figures.cuts) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
