/** Control of running simulated hardware by other processes: a unix socket, one JSON object a line each way. */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { z } from 'zod';
import { StationCodeSchema, type StationCode } from '@waystation/protocol/station-code';
import { firstIssue } from '@waystation/runtime/config';
import { parseCommand, perform, statusOf } from './commands.ts';
import type { StationHardware } from './station.ts';

const LINE_BYTES_MAX = 16 * 1024;
const CONNECTIONS_MAX = 64;
/** Requests of one connection that wait for their answer; more are refused. */
const REQUESTS_WAITING_MAX = 64;

/** `station` may be left out where there is only one. */
const station = StationCodeSchema.optional();
const Request = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('scan'), station, text: z.string().min(1).max(4_000) }),
  /** A line of the prompt. */
  z.strictObject({ do: z.literal('prompt'), station, line: z.string().min(1).max(4_000) }),
  z.strictObject({ do: z.literal('status'), station }),
  z.strictObject({ do: z.literal('stations') }),
  /** What the simulation as a whole has to tell. */
  z.strictObject({ do: z.literal('report'), of: z.string().max(40) }),
]);

export type Reply = Record<string, unknown>;
export type Reports = Readonly<Record<string, () => Reply>>;

export interface ControlSocket {
  readonly path: string;
  close(): Promise<void>;
}

/** Answers one line. Never rejects: what is wrong is said in `error`. */
export async function answerControl(
  line: string,
  stations: ReadonlyMap<StationCode, StationHardware>,
  random: () => number,
  reports: Reports = {},
): Promise<Reply> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return { error: 'not a JSON object in one line' };
  }
  const parsed = Request.safeParse(json);
  if (!parsed.success) {
    const { field, problem } = firstIssue(parsed.error);
    return { error: `${field}: ${problem}` };
  }
  const request = parsed.data;
  if (request.do === 'stations') return { stations: [...stations.keys()] };
  if (request.do === 'report') {
    const report = Object.hasOwn(reports, request.of) ? reports[request.of] : undefined;
    return (
      report?.() ?? { error: `of: say one of ${Object.keys(reports).join(', ') || 'nothing'}` }
    );
  }
  if (request.station === undefined && stations.size > 1)
    return { error: 'station: say which, there are several' };
  const hardware =
    request.station === undefined ? [...stations.values()][0] : stations.get(request.station);
  if (!hardware) return { error: `station: ${request.station ?? 'none'} is not simulated here` };
  switch (request.do) {
    case 'scan':
      return hardware.scan(request.text);
    case 'status':
      return statusOf(hardware);
    case 'prompt': {
      const command = parseCommand(request.line);
      return command.ok
        ? { text: await perform(hardware, command.command, random) }
        : { error: command.problem };
    }
    default:
      return request satisfies never;
  }
}

/** Cuts a connection into lines and hands them over one after the other. */
function serveConnection(socket: Socket, answer: (line: string) => Promise<Reply>): void {
  let pending = '';
  let waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();
  const say = (reply: Reply) => {
    if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`);
  };
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > LINE_BYTES_MAX) {
      say({ error: 'the line is too long' });
      socket.destroy();
      return;
    }
    for (const line of lines) {
      if (waiting >= REQUESTS_WAITING_MAX) {
        say({ error: 'too many requests wait for their answer' });
        continue;
      }
      waiting += 1;
      turn = turn.then(async () => {
        say(await answer(line));
        waiting -= 1;
      });
    }
  });
}

/** Listens at `path`; a socket left behind by a killed process is replaced. */
export function openControlSocket(
  path: string,
  stations: ReadonlyMap<StationCode, StationHardware>,
  random: () => number,
  reports: Reports = {},
): Promise<ControlSocket> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serveConnection(socket, (line) => answerControl(line, stations, random, reports));
  });
  server.maxConnections = CONNECTIONS_MAX;
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () =>
      resolve({
        path,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            for (const socket of open) socket.destroy();
          }),
      }),
    );
  });
}
