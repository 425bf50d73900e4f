/** After the last fault everything must arrive, within a limit; what does not is named with who holds it. */
import type { Clock } from '@waystation/runtime/clock';
import {
  readBacklog,
  readCursors,
  readProduced,
  withDatabase,
  type Cursor,
  type Produced,
} from './evidence.ts';
import type { World } from './world.ts';

export interface Drained {
  drained: boolean;
  drain_s: number;
  /** How far the stations' own files reach. */
  produced: Produced[];
  /** Who holds what, when time ran out. */
  held: string[];
}

/** Three times the longest patience of a station, of a gateway and of the replay together. */
const DRAIN_WITHIN_MS = 180_000;
/** A station commits samples in groups, at the latest after 5 s; silence for longer means that it has none. */
const SILENCE_MS = 6_500;
const ARRIVE_WITHIN_MS = 4_000;
const LOOK_EVERY_MS = 250;

export async function drain(
  world: World,
  clock: Clock,
  tell: (text: string) => void,
): Promise<Drained> {
  const began_at = clock.mono();
  const end_at = began_at + DRAIN_WITHIN_MS;
  world.hush();
  for (;;) {
    await stopStations(world);
    await startStations(world);
    await caughtUp(world, clock, end_at);
    await silence(world, clock, end_at);
    const produced = await stopStations(world);
    const held = await arrive(world, clock, produced);
    const drain_s = Math.round((clock.mono() - began_at) / 1000);
    const drained = held.length === 0;
    if (drained || clock.mono() >= end_at) return { drained, drain_s, produced, held };
    tell(`still held after ${drain_s} s: ${held.join('; ')}`);
  }
}

/** Until no station has spoken for a while. */
async function silence({ wiretap }: World, clock: Clock, end_at: number): Promise<void> {
  let heard = wiretap.counts.messages;
  let since = clock.mono();
  while (clock.mono() < end_at && clock.mono() - since < SILENCE_MS) {
    await clock.sleep(LOOK_EVERY_MS);
    if (wiretap.counts.messages === heard) continue;
    heard = wiretap.counts.messages;
    since = clock.mono();
  }
}

/** Until the cloud has what was on the wire when it was asked for. */
async function caughtUp(world: World, clock: Clock, end_at: number): Promise<void> {
  const goals = world.wiretap.streams().map(({ station, stream, epoch, records }) => ({
    station,
    stream,
    epoch,
    head: Math.max(0, ...records.keys()),
    acked: 0,
  }));
  while (clock.mono() < end_at) {
    const left = await waiting(world, goals).catch(() => ['the database is away']);
    if (left.length === 0) return;
    await clock.sleep(LOOK_EVERY_MS);
  }
}

function edgesOf(world: World) {
  return world.stations.flatMap(({ edge }) => world.parts.get(edge) ?? []);
}

async function startStations(world: World): Promise<void> {
  await Promise.all(edgesOf(world).map((edge) => edge.up()));
}

async function stopStations(world: World): Promise<Produced[]> {
  await Promise.all(edgesOf(world).map((edge) => edge.down('SIGTERM')));
  return world.keepOutboxes().flatMap(({ code, path }) => readProduced(code, path));
}

async function arrive(world: World, clock: Clock, produced: Produced[]): Promise<string[]> {
  const end_at = clock.mono() + ARRIVE_WITHIN_MS;
  for (;;) {
    const left = await waiting(world, produced).catch((error: unknown) => [String(error)]);
    if (left.length === 0 || clock.mono() > end_at) return left;
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function waiting(world: World, goals: readonly Produced[]): Promise<string[]> {
  return withDatabase(world.postgres.url, async (query) => {
    const cursors = await readCursors(query);
    const backlog = await readBacklog(query);
    return [
      ...goals.flatMap((goal) => behind(goal, cursors)),
      ...(backlog > 0 ? [`the backlog holds ${backlog} points for InfluxDB`] : []),
    ];
  });
}

/** Pure. */
export function behind(goal: Produced, cursors: readonly Cursor[]): string[] {
  const { station, stream, epoch, head } = goal;
  const through =
    cursors.find((c) => c.station === station && c.stream === stream && c.epoch === epoch)
      ?.through ?? 0;
  return through >= head
    ? []
    : [`${station} ${stream} ${epoch} holds ${through + 1} to ${head}, the cloud has ${through}`];
}
