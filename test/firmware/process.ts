/** The simulator as its own process, spoken to through its standard input and its devices. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('../../firmware-sim/main.ts', import.meta.url));

export interface Simulator {
  child: ChildProcess;
  field_bus: string;
  reader: string;
  control: string;
  /** Types a line and resolves with the next line that satisfies `answer`. */
  type(line: string, answer?: (text: string) => boolean): Promise<string>;
  stop(): Promise<unknown>;
}

export async function startSimulator(args: readonly string[] = []): Promise<Simulator> {
  const data_dir = mkdtempSync(join(tmpdir(), 'firmware-'));
  const child = spawn(process.execPath, [ENTRY, '--data', data_dir, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: ((text: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    for (const listen of lines) listen(text);
  });
  const next = (wanted: (text: string) => boolean) =>
    new Promise<string>((resolve) => {
      const listen = (text: string) => {
        if (!wanted(text)) return;
        lines.splice(lines.indexOf(listen), 1);
        resolve(text);
      };
      lines.push(listen);
    });
  await next((text) => text.includes('"event":"ready"'));
  return {
    child,
    field_bus: join(data_dir, 'field-bus'),
    reader: join(data_dir, 'reader'),
    control: join(data_dir, 'simulator.sock'),
    type(line, answer = () => true) {
      const answered = next(answer);
      child.stdin.write(`${line}\n`);
      return answered;
    },
    async stop() {
      if (child.exitCode !== null) return child.exitCode;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = await exited;
      return code;
    },
  };
}
