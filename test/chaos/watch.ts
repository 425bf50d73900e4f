/** Looks at the event table while the run goes on: at every moment it is a prefix without holes, and never shrinks. */
import type { Clock } from '@waystation/runtime/clock';
import type { Finding } from './audit.ts';
import { readPrefixes, withDatabase, type Prefix } from './evidence.ts';

export interface Watch {
  readonly findings: readonly Finding[];
  readonly looks: number;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 2_000;
const FINDINGS_MAX = 100;

/** Pure: what is wrong with `now`, the table having been seen as `before`. */
export function comparePrefixes(before: ReadonlyMap<string, number>, now: readonly Prefix[]) {
  const findings: Finding[] = [];
  const after = new Map(before);
  for (const { station, generation, events, last_seq } of now) {
    const key = `${station} ${generation}`;
    const held = before.get(key) ?? 0;
    const place = { station, stream: 'event' as const, epoch: `#${generation}` };
    if (events !== last_seq) {
      const what = `seen with a hole: ${events} rows, the last is ${last_seq}`;
      findings.push({ class: 'out_of_order', ...place, seq: last_seq, what });
    }
    if (events < held) {
      const what = `${held} rows were committed, later only ${events} stood there`;
      findings.push({ class: 'lost', ...place, seq: events + 1, what });
    }
    after.set(key, Math.max(held, events));
  }
  return { findings, after };
}

export function watchPrefixes(url: string, clock: Clock): Watch {
  const closing = new AbortController();
  const findings: Finding[] = [];
  let before: ReadonlyMap<string, number> = new Map();
  let looks = 0;
  const looking = (async () => {
    while (!closing.signal.aborted) {
      // The database is away now and then: that is the idea.
      const now = await withDatabase(url, readPrefixes).catch(() => null);
      if (now !== null) {
        const step = comparePrefixes(before, now);
        before = step.after;
        looks += 1;
        findings.push(...step.findings.slice(0, FINDINGS_MAX - findings.length));
      }
      await clock.sleep(LOOK_EVERY_MS, closing.signal);
    }
  })();
  return {
    findings,
    get looks() {
      return looks;
    },
    async stop() {
      closing.abort();
      await looking;
    },
  };
}
