/** A station's process killed in the middle of writing, again and again: what it promised is there, and the chain holds. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openOutboxStore } from '@waystation/edge/outbox/outbox-store';
import { stationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { chainNext } from '@waystation/runtime/hash-chain';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';

const KILLS = 200;
const SEED = Number(process.env['POWER_SEED'] ?? 20_261_122);
const directory = mkdtempSync(join(tmpdir(), 'power-'));
const path = join(directory, 'outbox.db');
const writer = join(directory, 'writer.mjs');

// As one file the writer starts in a quarter of the time, as the agent does on a station.
beforeAll(async () => {
  await build({
    configFile: false,
    logLevel: 'error',
    root: import.meta.dirname,
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: join(import.meta.dirname, 'writer.ts'),
      outDir: directory,
      emptyOutDir: false,
      minify: true,
      rolldownOptions: { output: { entryFileNames: 'writer.mjs' } },
    },
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Promised {
  events: Map<number, string>;
  commands: Set<number>;
  acked: number;
}

/** Runs the writer until it has promised a few things, and kills it in the middle of the next. Returns its whole lines. */
function runAndKill(first: number, random: () => number): Promise<string[]> {
  const lines_wanted = 1 + Math.floor(random() * 60);
  return new Promise((resolve, reject) => {
    const seed = String(Math.floor(random() * 1e9));
    const child = spawn(process.execPath, [writer, path, String(first), seed], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    let lines = 0;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      lines += chunk.split('\n').length - 1;
      if (lines >= lines_wanted) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (_, signal) => {
      if (signal === 'SIGKILL') resolve(text.split('\n').slice(0, -1));
      else reject(new Error('the writer ended by itself'));
    });
  });
}

function note(lines: readonly string[], promised: Promised): void {
  for (const line of lines) {
    const [word, number = '0', name = ''] = line.split(' ');
    if (word === 'event') promised.events.set(Number(number), name);
    if (word === 'command') promised.commands.add(Number(number));
    if (word === 'acked') promised.acked = Math.max(promised.acked, Number(number));
  }
}

/** Opens the file as the next start would, and compares it with what was promised. Returns how many records it read. */
function audit(promised: Promised): { read: number; head: number } {
  const store = openOutboxStore({
    path,
    clock: systemClock(),
    random: prng(1),
    commit: 'immediate',
    disk_budget_bytes: 8_000_000,
    log: silentLog,
  });
  try {
    expect(store.counters().files_set_aside).toBe(0);
    const outbox = store.outbox(stationCode('370102001', 'W', 1), () => ({
      at: 0,
      mono: 0,
      boot: '00000000',
      clock: 'unknown',
    }));
    const { acked, head } = outbox.position('event');
    expect(acked).toBeLessThanOrEqual(promised.acked);
    const stored = new Map<number, string>();
    let hash: string | undefined;
    for (let last = acked; last < head;) {
      const read = outbox.read('event', last, { records: 256, bytes: 128 * 1024 });
      if (read === null) throw new Error(`nothing after ${last} although the head is ${head}`);
      if (hash !== undefined) expect(read.message.previous_hash).toBe(hash);
      hash = read.message.previous_hash ?? '';
      for (const record of read.message.records) {
        last += 1;
        hash = chainNext(hash, JSON.stringify(record));
        if (record.kind === 'mode') stored.set(last, record.cause);
      }
    }
    for (const [seq, name] of promised.events) {
      if (seq > acked) expect(stored.get(seq), `record ${seq} was promised`).toBe(`event ${name}`);
    }
    const table = store.table('executed', { rows: 100_000 });
    for (const n of promised.commands)
      expect(table.get(`command ${n}`), `command ${n}`).toBe('succeeded');
    return { read: stored.size, head };
  } finally {
    store.close();
  }
}

test(
  `${KILLS} kills in the middle of writing lose nothing that was promised`,
  { timeout: 180_000 },
  async () => {
    const random = prng(SEED);
    const promised: Promised = { events: new Map(), commands: new Set(), acked: 0 };
    let first = 1;
    let heads = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const lines = await runAndKill(first, random);
      note(lines, promised);
      first =
        Math.max(first, ...[...promised.events.values()].map((name) => Number.parseInt(name, 10))) +
        1;
      const { head } = audit(promised);
      expect(head, `seed ${SEED}, kill ${kill}`).toBeGreaterThanOrEqual(
        Math.max(heads, ...promised.events.keys()),
      );
      heads = head;
      for (const seq of promised.events.keys())
        if (seq <= promised.acked) promised.events.delete(seq);
    }
    expect(heads).toBeGreaterThan(KILLS * 10);
  },
);
