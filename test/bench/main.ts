/** `npm run bench -- NAME [--seconds N] [--stations N] [--seed N]`: runs one benchmark; what a person reads goes to standard error, the last line is JSON. */
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault, isFault } from '@waystation/runtime/fault';
import { readFlags, wholeNumber } from '@waystation/scripts/local/flags';
import { benchCard } from './card.ts';
import { benchDoor } from './door.ts';
import { benchEdge } from './edge.ts';
import { benchIngest } from './ingest/ingest.ts';
import { benchNational, NATION } from './national/national.ts';
import { benchBackfill, benchHerd } from './province/backfill.ts';
import { benchProvince } from './province/province.ts';
import { childrenOf } from './province/meter.ts';
import { benchReconnect } from './province/reconnect.ts';

interface BenchOptions {
  seconds: number;
  stations: number;
  seed: number;
}

interface Bench {
  seconds: number;
  /** Stations at full size, and when nothing else is said. */
  stations?: number;
  run: (options: BenchOptions) => Promise<object> | object;
}

/** `seconds`: how long it measures when nothing else is said; reconnect, backfill and herd end by themselves. */
const BENCHES = {
  door: { seconds: 20, run: ({ seconds }) => benchDoor(seconds) },
  ingest: { seconds: 20, run: ({ seconds }) => benchIngest(seconds) },
  edge: { seconds: 20, run: ({ seconds }) => benchEdge(seconds) },
  card: { seconds: 20, run: ({ seconds }) => benchCard(seconds) },
  province: { seconds: 600, run: benchProvince },
  reconnect: { seconds: 1, run: benchReconnect },
  backfill: { seconds: 1, run: benchBackfill },
  herd: { seconds: 1, run: benchHerd },
  national: { seconds: 120, stations: NATION, run: benchNational },
} as const satisfies Record<string, Bench>;

const PROVINCE = 10_659;
const OPTIONS = {
  seconds: { type: 'string' },
  stations: { type: 'string' },
  seed: { type: 'string', default: '1' },
} as const;

async function main(): Promise<void> {
  const [first = '', ...rest] = process.argv.slice(2);
  const name = Object.keys(BENCHES).find((known): known is keyof typeof BENCHES => known === first);
  if (name === undefined)
    throw new Fault('USAGE', { problem: `name one of ${Object.keys(BENCHES).join(', ')}` });
  const flags = readFlags(OPTIONS, rest);
  const bench: Bench = BENCHES[name];
  const most = bench.stations ?? PROVINCE;
  const figures = await bench.run({
    seconds: wholeNumber('seconds', flags.seconds ?? String(bench.seconds), 1, 3600),
    stations: wholeNumber('stations', flags.stations ?? String(most), 1, most),
    seed: wholeNumber('seed', flags.seed, 0, 0xffff_ffff),
  });
  console.log(JSON.stringify(figures));
}

/** Everything that this process started, and what that started. */
function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [...descendants(child), child]);
}

const LEFT_ALONE_MS = 5_000;

/** An interrupted benchmark leaves neither a process nor a directory behind. */
function endOnSignal(directory: string): void {
  const end = () => {
    const started = descendants(process.pid);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const)
      setTimeout(
        () => {
          for (const pid of started) if (existsSync(`/proc/${pid}`)) process.kill(pid, signal);
        },
        signal === 'SIGTERM' ? 0 : LEFT_ALONE_MS,
      );
    setTimeout(() => {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
      process.exit(130);
    }, LEFT_ALONE_MS + 500);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
}

// Every directory of the run lies in this one.
const directory = mkdtempSync(join(tmpdir(), 'waystation-bench-'));
chmodSync(directory, 0o755);
process.env['TMPDIR'] = directory;
endOnSignal(directory);

try {
  await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
