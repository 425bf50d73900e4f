/** A whole Waystation in a directory of its own: started for one suite, spoken to as people do, removed afterwards. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { openOutboxFile } from '@waystation/edge/outbox/outbox-file';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import { systemClock } from '@waystation/runtime/clock';
import { openMember, type Member } from '@waystation/scripts/local/member';
import {
  connectSimulator,
  type ScanAnswer,
  type Simulator,
} from '@waystation/scripts/local/simulator';
import {
  demoDirectory,
  fleetDirectory,
  startStack,
  type Stack,
  type StackOptions,
  type StackPart,
} from '@waystation/scripts/local/stack';
import { z } from 'zod';
import { freePort, temporaryDirectory } from '../servers/process.ts';

const clock = systemClock();
const PAUSE_MS = 50;
/** An outbox is opened only to be read, so its size does not matter. */
const SIZE_LIMIT_BYTES = 2 ** 30;

/** Asks again and again until there is an answer. Rejects after `timeout_ms` with what was waited for and last seen. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  timeout_ms = 30_000,
): Promise<T> {
  const end = clock.mono() + timeout_ms;
  let trouble = '';
  while (clock.mono() < end) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      trouble = String(error);
    }
    await clock.sleep(PAUSE_MS);
  }
  throw new Error(`not within ${timeout_ms} ms: ${what} ${trouble}`);
}

/** What a suite has started: ended in reverse order, also when only half of it could be started. */
export class Started {
  readonly #ends: (() => unknown)[] = [];

  add<T extends { stop(): Promise<unknown> }>(part: T): T {
    this.#ends.push(() => part.stop());
    return part;
  }
  async stop(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
  }
}

/** How far one stream of one station reaches, by the station's own file. */
export interface Head {
  station: string;
  stream: Stream;
  epoch: string;
  head: number;
  acked: number;
  /** Chain hash of the newest event. */
  head_hash: string;
}

/** Reads the outbox of a station that does not run. */
export function readHeads(outbox_path: string, stations: readonly string[]): Head[] {
  const file = openOutboxFile(outbox_path, SIZE_LIMIT_BYTES);
  try {
    return stations.flatMap((station) =>
      STREAMS.flatMap((stream) => {
        const lane = file.loadLane(station, stream);
        return lane === null
          ? []
          : [
              {
                station,
                stream,
                epoch: lane.epoch,
                head: lane.head,
                acked: lane.acked,
                head_hash: lane.head_hash,
              },
            ];
      }),
    );
  } finally {
    file.close();
  }
}

/** The stations of a fleet: far from the demo station, one city after the other. */
export function someStations(count: number): string[] {
  const codes = shandongStations(1)
    .map(({ code }) => code)
    .filter((code) => code !== DEMO_STATION);
  const step = Math.floor(codes.length / Math.max(1, count));
  return Array.from({ length: count }, (_, at) => codes[at * step] ?? '');
}

export interface TestStack {
  readonly stack: Stack;
  readonly data_dir: string;
  readonly fleet_codes: readonly string[];
  /** A phone with a card of its own. */
  member(name: string): Promise<Member>;
  /** The demo station's hardware; connects again when the simulator was restarted. */
  demo(): Promise<Simulator>;
  fleet(): Promise<Simulator>;
  /** Somebody shows a card to the demo station's reader and walks through the door. */
  visit(member: Member): Promise<ScanAnswer>;
  get(path: string): Promise<unknown>;
  post(path: string, body: object): Promise<{ status: number; body: unknown }>;
  /** Somebody comes to a station of the fleet; its own resident lets them in. */
  letIn(code: string): Promise<void>;
  /** kill -9, and resolves when it is dead. */
  kill(part: StackPart): Promise<void>;
  /** Stops the stations and reads how far their streams reach. */
  heads(): Promise<Head[]>;
  stop(): Promise<void>;
}

export async function startTestStack(
  options: Partial<StackOptions> & { fleet_size?: number } = {},
): Promise<TestStack> {
  const directory = temporaryDirectory('system');
  const { fleet_size = 0, ...rest } = options;
  const fleet_codes = someStations(fleet_size);
  const data_dir = options.data_dir ?? directory.path;
  const stack = await startStack({
    data_dir,
    http_port: await freePort(),
    mqtt_port: await freePort(),
    station_codes: fleet_codes,
    seed: 1,
    wall_clock: () => clock.wall(),
    progress: () => {},
    ...rest,
  }).catch((error: unknown) => {
    directory.remove();
    throw error;
  });
  const open: Simulator[] = [];
  const connect = async (folder: string) => {
    const simulator = await connectSimulator(join(folder, 'simulator.sock'));
    open.push(simulator);
    return simulator;
  };
  let demo: Promise<Simulator> | null = null;
  let fleet: Promise<Simulator> | null = null;
  const openFleet = () => (fleet ??= connect(fleetDirectory(data_dir)));
  const openDemo = () => (demo ??= connect(demoDirectory(data_dir)));
  const api = (path: string) => `${stack.url}/api/v1${path}`;
  return {
    stack,
    data_dir,
    fleet_codes,
    member: (name) => openMember(join(data_dir, 'members'), name, stack.url, clock.wall()),
    demo: openDemo,
    fleet: openFleet,
    async visit(member) {
      const simulator = await openDemo();
      const answer = await simulator.scan(DEMO_STATION, member.present(clock.wall()));
      await simulator.ask({ do: 'prompt', line: 'open' });
      await simulator.ask({ do: 'prompt', line: 'close' });
      return answer;
    },
    async get(path) {
      const answer = await fetch(api(path));
      if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
      return answer.json();
    },
    async post(path, body) {
      const answer = await fetch(api(path), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
    },
    async letIn(code) {
      await (await openFleet()).ask({ do: 'prompt', station: code, line: 'letin' });
    },
    async kill(part) {
      stack.processes.get(part)?.kill('SIGKILL');
      await stack.processes.get(part)?.ended;
    },
    async heads() {
      await Promise.all(
        ['demo-edge', 'fleet'].map(async (name) => stack.processes.get(name)?.stop()),
      );
      fleet = null;
      const fleet_outbox = join(fleetDirectory(data_dir), 'outbox.db');
      return [
        ...readHeads(join(demoDirectory(data_dir), 'edge', 'outbox.db'), [DEMO_STATION]),
        ...(existsSync(fleet_outbox) ? readHeads(fleet_outbox, fleet_codes) : []),
      ];
    },
    async stop() {
      for (const simulator of open) simulator.close();
      await stack.stop();
      directory.remove();
    },
  };
}

/** Of a station's page what these suites look at. */
export const Station = z.looseObject({
  online: z.boolean(),
  portal: z.string().nullable(),
  status: z.string(),
  today: z.object({ openings: z.int(), denials: z.int() }),
});
export const Events = z.looseObject({
  rows: z.array(
    z.looseObject({
      epoch: z.string(),
      seq: z.int(),
      kind: z.string(),
      summary: z.record(z.string(), z.unknown()),
    }),
  ),
  next: z.string().nullable(),
});
export const CommandAnswer = z.looseObject({
  id: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  deadline_at: z.number(),
});
