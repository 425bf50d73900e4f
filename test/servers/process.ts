/** A real program started by a test: its own directory, its output kept, ended by its id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

const OUTPUT_CHARACTERS_MAX = 200_000;

export interface ProgramOptions {
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  stdin?: 'pipe' | 'ignore';
}

export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Set<() => void>();
  #output = '';

  constructor(options: ProgramOptions) {
    this.#name = options.command;
    const { uid, gid } = options;
    this.child = spawn(options.command, [...options.args], {
      env: options.env ?? process.env,
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
      for (const look of this.#waiting) look();
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    this.child.on('exit', () => {
      for (const look of this.#waiting) look();
    });
    this.child.on('error', (error) => keep(Buffer.from(`${error.message}\n`)));
  }

  get output(): string {
    return this.#output;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until the output so far matches; rejects with the output when the program ends first or time runs out. */
  async saw(pattern: RegExp, timeout_ms = 60_000): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error, match?: RegExpMatchArray) => {
        clearTimeout(limit);
        this.#waiting.delete(look);
        if (match) resolve(match);
        else reject(error ?? new Error('no match'));
      };
      const look = () => {
        const match = this.#output.match(pattern);
        if (match) done(undefined, match);
        else if (this.ended || this.child.pid === undefined) {
          done(
            new Error(
              `${this.#name} ended before it printed ${pattern}:\n${this.#output.slice(-4000)}`,
            ),
          );
        }
      };
      const limit = setTimeout(() => {
        done(
          new Error(
            `${this.#name} did not print ${pattern} in ${timeout_ms} ms:\n${this.#output.slice(-4000)}`,
          ),
        );
      }, timeout_ms);
      this.#waiting.add(look);
      look();
    });
  }

  /** Sends the signal and waits for the end. Returns the exit code, or the signal's name. */
  async end(signal: NodeJS.Signals = 'SIGTERM', patience_ms = 15_000): Promise<number | string> {
    if (!this.ended) {
      const exit = once(this.child, 'exit');
      this.child.kill(signal);
      const force = setTimeout(() => this.child.kill('SIGKILL'), patience_ms);
      await exit;
      clearTimeout(force);
    }
    return this.child.exitCode ?? this.child.signalCode ?? 'unknown';
  }
}

/** A directory of its own under the system's temporary one, removed by `remove`. */
export function temporaryDirectory(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `waystation-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A port nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

/** Resolves when something accepts connections there. */
export async function accepting(
  port: number,
  program: Program,
  timeout_ms = 30_000,
): Promise<void> {
  const end = performance.now() + timeout_ms;
  for (;;) {
    const socket = createConnection({ host: '127.0.0.1', port });
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    if (program.ended || performance.now() > end) {
      throw new Error(`nothing listens on ${port}:\n${program.output.slice(-4000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
