/** A process of ours, started with its own configuration file: ready when it says so, its lines kept in a log file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const KILL_AFTER_MS = 4500;
const READY_WITHIN_MS = 90_000;
const LAST_LINES = 40;

export type LogLine = { event?: unknown; level?: unknown } & Record<string, unknown>;

export interface LocalProcess {
  readonly name: string;
  readonly child: ChildProcess;
  /** The facts of its `ready` line. */
  readonly ready: LogLine;
  /** Resolves with the exit code or the signal's name. */
  readonly ended: Promise<number | string>;
  onLine(listener: (line: LogLine) => void): void;
  /** SIGTERM, then SIGKILL when it does not obey in 4.5 s. */
  stop(): Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
}

export interface LocalProgram {
  name: string;
  /** Entry file below the project's root. */
  entry: string;
  args: readonly string[];
  /** Written to `<data_dir>/config/<name>.json` and passed as --config when given. */
  config?: unknown;
  data_dir: string;
  node_flags?: readonly string[];
  /** Added to the environment. */
  env?: Readonly<Record<string, string>>;
  /** In a process group of its own: Ctrl-C at the terminal reaches only who started it. */
  own_group?: boolean;
  /** How long it may take until it says that it is ready (90 s). */
  ready_within_ms?: number;
  /** The event of its log that counts as ready (`ready`). */
  ready_event?: string;
}

function parseLine(text: string): LogLine | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as LogLine) : null;
  } catch {
    return null;
  }
}

/** Starts the program and resolves when it logged `"event":"ready"`; rejects with its last lines when it ends before. */
export async function startProcess(program: LocalProgram): Promise<LocalProcess> {
  const { name, data_dir, ready_within_ms = READY_WITHIN_MS } = program;
  mkdirSync(join(data_dir, 'config'), { recursive: true });
  mkdirSync(join(data_dir, 'logs'), { recursive: true });
  const args = [...(program.node_flags ?? []), join(ROOT, program.entry), ...program.args];
  if (program.config !== undefined) {
    const path = join(data_dir, 'config', `${name}.json`);
    writeFileSync(path, `${JSON.stringify(program.config, null, 2)}\n`);
    args.push('--config', path);
  }
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...program.env },
    detached: program.own_group ?? false,
  });
  child.stdin.on('error', () => {});
  const file = createWriteStream(join(data_dir, 'logs', `${name}.log`), { flags: 'a' });
  const listeners: ((line: LogLine) => void)[] = [];
  const last: string[] = [];
  const ended = once(child, 'exit').then(([code, signal]: unknown[]) => {
    file.end();
    return typeof code === 'number' ? code : String(signal);
  });
  const ready = new Promise<LogLine>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${name} ${why}:\n${last.join('\n')}`));
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`was not ready in ${ready_within_ms} ms`);
    }, ready_within_ms);
    listeners.push((line) => {
      if (line.event !== (program.ready_event ?? 'ready')) return;
      clearTimeout(late);
      resolve(line);
    });
    void ended.then((end) => {
      clearTimeout(late);
      fail(`ended (${end}) before it was ready`);
    });
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      file.write(`${text}\n`);
      last.push(text);
      if (last.length > LAST_LINES) last.shift();
      const line = parseLine(text);
      if (line) for (const listen of listeners) listen(line);
    });
  }
  return {
    name,
    child,
    ready: await ready,
    ended,
    onLine: (listener) => listeners.push(listener),
    kill: (signal) => child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
      const end = await ended;
      clearTimeout(force);
      return end;
    },
  };
}
