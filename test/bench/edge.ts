/** The agent's own cost: memory, time until the door is ready, flash written a day, processor. From the bundle, as it ships. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { openMember } from '@waystation/scripts/local/member';
import { connectSimulator } from '@waystation/scripts/local/simulator';
import { demoDirectory } from '@waystation/scripts/local/stack';
import { startProcess } from '@waystation/scripts/local/process';
import { startStationStack } from './station-stack.ts';

/** As the systemd unit runs it: a small young generation keeps memory flat. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=48'];
/** Openings of the load's busy day; each is about six events. */
const OPENINGS_PER_DAY = 100;
const DAY_S = 86_400;
/** Snapshot, keys and status list are written once after the start: not what a day costs. */
const SETTLE_MS = 20_000;

function status(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(text.match(new RegExp(`^${field}:\\s+(\\d+)`, 'm'))?.[1] ?? Number.NaN);
}
/** Bytes this process caused to be written to storage. */
function written(pid: number): number {
  return Number(
    readFileSync(`/proc/${pid}/io`, 'utf8').match(/^write_bytes: (\d+)/m)?.[1] ?? Number.NaN,
  );
}
/** Processor seconds used, user and system. */
function processor_s(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}

export async function benchEdge(seconds: number) {
  execFileSync(process.execPath, [new URL('../../edge/bundle.ts', import.meta.url).pathname], {
    stdio: 'inherit',
  });
  const { directory, stack, end } = await startStationStack('bench-edge');
  try {
    await stack.processes.get('demo-edge')?.stop();
    const config = join(directory, 'config', 'demo-edge.json');
    const began = performance.now();
    const edge = await startProcess({
      name: 'bundled-edge',
      entry: 'edge/dist/edge.mjs',
      args: ['--config', config],
      data_dir: directory,
      node_flags: NODE_FLAGS,
    });
    const ready_s = (performance.now() - began) / 1000;
    const pid = edge.child.pid ?? 0;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const quiet = await measure(pid, seconds);
    const per_opening = await bytesPerOpening(pid, directory, stack.url);
    const rss_mb = status(pid, 'VmRSS') / 1024;
    const flash = quiet.bytes_per_s * DAY_S + per_opening * OPENINGS_PER_DAY;
    await edge.stop();
    return {
      rss_mb: Number(rss_mb.toFixed(1)),
      peak_rss_mb: Number(quiet.peak_mb.toFixed(1)),
      ready_s: Number(ready_s.toFixed(2)),
      flash_mb_per_day: Number((flash / 1e6).toFixed(1)),
      cpu_percent: Number(quiet.cpu_percent.toFixed(2)),
      bytes_per_opening: Math.round(per_opening),
    };
  } finally {
    await end();
  }
}

async function measure(pid: number, seconds: number) {
  const before = { bytes: written(pid), cpu: processor_s(pid) };
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return {
    bytes_per_s: (written(pid) - before.bytes) / seconds,
    cpu_percent: ((processor_s(pid) - before.cpu) / seconds) * 100,
    peak_mb: status(pid, 'VmHWM') / 1024,
  };
}

async function bytesPerOpening(pid: number, data_dir: string, url: string): Promise<number> {
  const member = await openMember(join(data_dir, 'members'), 'bench', url, Date.now());
  const simulator = await connectSimulator(join(demoDirectory(data_dir), 'simulator.sock'));
  const before = written(pid);
  const openings = 20;
  for (let n = 0; n < openings; n += 1) {
    await simulator.scan(DEMO_STATION, member.present(Date.now()));
    await simulator.ask({ do: 'prompt', line: 'open' });
    await simulator.ask({ do: 'prompt', line: 'close' });
  }
  simulator.close();
  return (written(pid) - before) / openings;
}
