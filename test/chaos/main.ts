/** `npm run chaos -- --seed N --minutes M`: real processes under seeded faults, then the audit; the last line is JSON. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import { readFlags, wholeNumber } from '@waystation/scripts/local/flags';
import { installCommand, installMissingParts } from '../servers/parts.ts';
import { FULL_SIZE } from './layout.ts';
import { forget, runChaos } from './run.ts';

const USAGE = `npm run chaos -- [options]
  --seed N      which faults, whom and when (a new one each time)
  --minutes M   how long, 1 to 600 (5)
  --clouds N    clouds side by side, 1 to 4 (${FULL_SIZE.clouds})
  --keep        keep the directory of logs, ledger and plan also when all is well
  --help
`;
const OPTIONS = {
  seed: { type: 'string' },
  minutes: { type: 'string', default: '5' },
  clouds: { type: 'string', default: String(FULL_SIZE.clouds) },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;
const SEED_MAX = 0xffff_ffff;

const INTERRUPTED = 130;

function interruptedEnd(): number {
  console.error('interrupted; nothing was judged');
  return INTERRUPTED;
}

async function main(): Promise<number> {
  const flags = readFlags(OPTIONS, process.argv.slice(2));
  if (flags.help) {
    console.error(USAGE);
    return 0;
  }
  const seed =
    flags.seed === undefined
      ? Math.floor(Math.random() * SEED_MAX)
      : wholeNumber('seed', flags.seed, 0, SEED_MAX);
  const minutes = wholeNumber('minutes', flags.minutes, 1, 600);
  const clouds = wholeNumber('clouds', flags.clouds, 1, 4);
  const missing = installMissingParts();
  if (missing.length > 0)
    throw new Fault('PART_MISSING', { part: missing.join(), install: installCommand(missing) });
  const directory = mkdtempSync(join(tmpdir(), `waystation-chaos-${seed}-`));
  const replay = `npm run chaos -- --seed ${seed} --minutes ${minutes}${clouds === FULL_SIZE.clouds ? '' : ` --clouds ${clouds}`}`;
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort());
  let kept = true;
  try {
    const outcome = await runChaos({
      seed,
      minutes,
      size: { ...FULL_SIZE, clouds },
      directory,
      clock: systemClock(),
      say: (text) => console.error(text),
      signal: interrupted.signal,
    });
    kept = outcome?.passed === false || flags.keep;
    if (outcome === null) return interruptedEnd();
    if (!outcome.passed) console.error(`failed; replay it with:  ${replay}`);
    console.log(JSON.stringify(outcome.figures));
    return outcome.passed ? 0 : 1;
  } catch (error) {
    if (interrupted.signal.aborted) {
      // A terminal interrupts every process of the world at once: that some then miss others is no finding.
      kept = false;
      return interruptedEnd();
    }
    console.error(`broke off; replay it with:  ${replay}`);
    throw error;
  } finally {
    if (kept) console.error(`logs, ledger, plan and outboxes: ${directory}`);
    else forget(directory);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
