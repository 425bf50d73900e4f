/** Talks to running simulated hardware over its control socket: one JSON object a line each way. */
import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { Fault } from '@waystation/runtime/fault';

/** What the reader showed, and how long the door took: last byte of the scan → lock coil frame (null when it stayed shut). */
export const ScanAnswer = z.looseObject({
  outcome: z.enum(['granted', 'denied', 'unanswered']),
  denial: z.string().optional(),
  sentence: z.string().optional(),
  decision_ms: z.number().nullable().optional(),
});
export type ScanAnswer = z.output<typeof ScanAnswer>;

export interface Simulator {
  ask(order: Readonly<Record<string, unknown>>): Promise<unknown>;
  scan(station: string, text: string): Promise<ScanAnswer>;
  close(): void;
}

/** Throws Fault NOT_FOUND when nothing listens there: the simulator is not running. */
export async function connectSimulator(socket_path: string): Promise<Simulator> {
  const socket: Socket = createConnection(socket_path);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    throw new Fault(
      'NOT_FOUND',
      { socket: socket_path, problem: 'no simulator listens here; is npm start running?' },
      cause,
    );
  }
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  let turn: Promise<unknown> = Promise.resolve();
  const exchange = async (order: Readonly<Record<string, unknown>>): Promise<unknown> => {
    socket.write(`${JSON.stringify(order)}\n`);
    const line = await lines.next();
    if (line.done)
      throw new Fault('NOT_FOUND', { socket: socket_path, problem: 'the simulator went away' });
    return JSON.parse(line.value);
  };
  const ask = (order: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const answer = turn.then(() => exchange(order));
    turn = answer.catch(() => {});
    return answer;
  };
  return {
    ask,
    async scan(station, text) {
      const answer = await ask({ do: 'scan', station, text });
      const parsed = ScanAnswer.safeParse(answer);
      if (parsed.success) return parsed.data;
      throw new Fault('REQUEST_INVALID', {
        problem: `the simulator answered ${JSON.stringify(answer)}`,
      });
    },
    close: () => socket.destroy(),
  };
}
