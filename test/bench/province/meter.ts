/** What processes take: processor time and memory, read from the kernel between two looks. */
import { readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_S = 100;

export interface Look {
  cpu_s: number;
  /** Resident now; of a server with children their sum counts shared pages once for each. */
  rss_mb: number;
}

/** Fields after the name in parentheses: state is the first. */
function statFields(pid: number): number[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function lookAtOne(pid: number): Look {
  const fields = statFields(pid);
  const [user = 0, system = 0, dead_user = 0, dead_system = 0] = fields.slice(11, 15);
  const [, resident_pages = 0] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number);
  return {
    cpu_s: (user + system + dead_user + dead_system) / TICKS_PER_S,
    rss_mb: (resident_pages * 4096) / 1024 ** 2,
  };
}

/** The process with its living children and the time of those it has waited for. */
export function look(pid: number): Look {
  const whole = lookAtOne(pid);
  for (const child of childrenOf(pid)) {
    try {
      const part = lookAtOne(child);
      whole.cpu_s += part.cpu_s;
      whole.rss_mb += part.rss_mb;
    } catch {
      // it ended between the two reads; its time is among the waited for
    }
  }
  return whole;
}

export type Usage = Record<string, { cores: number; rss_mb: number }>;

/** Begins to measure; the returned function tells cores used since then and memory now. */
export function meter(
  processes: Readonly<Record<string, number>>,
  now_ms: () => number,
): () => Usage {
  const began_ms = now_ms();
  const before = Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => [name, look(pid)]),
  );
  return () => {
    const seconds = (now_ms() - began_ms) / 1000;
    return Object.fromEntries(
      Object.entries(processes).map(([name, pid]) => {
        const after = look(pid);
        const cores = (after.cpu_s - (before[name]?.cpu_s ?? 0)) / seconds;
        return [name, { cores: Number(cores.toFixed(3)), rss_mb: Math.round(after.rss_mb) }];
      }),
    );
  };
}
