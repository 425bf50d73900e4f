/** A load process that answers orders: one JSON object a line each way. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface OrderProcess {
  readonly pid: number;
  /** Rejects when the process ends instead of answering. */
  ask(order: object): Promise<unknown>;
  end(): void;
}

export function startOrderProcess(entry: URL, node_flags: readonly string[] = []): OrderProcess {
  const child = spawn(process.execPath, [...node_flags, fileURLToPath(entry)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => {}); // it ended; the next `ask` tells
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    async ask(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const line = await lines.next();
      if (line.done) throw new Error('the load process ended');
      return JSON.parse(line.value);
    },
    end: () => child.stdin.end('{"do":"end"}\n'),
  };
}
