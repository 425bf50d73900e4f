/** People who come all the time: cards at the readers, buttons inside, orders from afar; every answer goes into the ledger. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '@waystation/runtime/clock';
import { openMember, type Member } from '@waystation/scripts/local/member';
import { until } from '../system/local-stack.ts';
import type { Ledger } from './ledger.ts';
import type { StationPlace, World } from './world.ts';

export interface Visitors {
  /** They go home; resolves when the last has left. */
  goHome(): Promise<void>;
}

const PAUSE_MS = { least: 300, most: 1_500 } as const;
const ORDER_PAUSE_MS = 4_000;
const ORDER_TIMEOUT_MS = 5_000;
const FIRST_GRANT_MS = 60_000;
const INSIDE = ['egress', 'leave', 'letin', 'sos', 'sos off', 'open', 'close'] as const;

const Order = z.looseObject({ id: z.string(), deadline_at: z.number() });

/** One person a station, so that the answers at its reader are those of one card. */
async function residentOf(world: World, place: StationPlace, wall_ms: number): Promise<Member> {
  const directory = join(world.directory, 'members');
  return openMember(directory, `来客 ${place.edge}`, world.api_url, wall_ms);
}

export async function inviteVisitors(
  world: World,
  ledger: Ledger,
  clock: Clock,
  random: () => number,
): Promise<Visitors> {
  const closing = new AbortController();
  const { signal } = closing;
  const residents = new Map<string, Member>();
  for (const place of world.stations)
    residents.set(place.code, await residentOf(world, place, clock.wall()));

  const visit = async (place: StationPlace) => {
    const member = residents.get(place.code);
    if (member === undefined) return null;
    const at = clock.wall();
    const answer = await place.simulator.scan(place.code, member.present(at));
    const { outcome, denial = null, decision_ms = null } = answer;
    ledger.scanned({ station: place.code, card: member.index, at, outcome, denial, decision_ms });
    return outcome;
  };
  const pause = (most: number) =>
    clock.sleep(PAUSE_MS.least + random() * (most - PAUSE_MS.least), signal);

  const bustle = async (place: StationPlace) => {
    while (!signal.aborted) {
      await visit(place);
      const line = INSIDE[Math.floor(random() * INSIDE.length)] ?? 'close';
      if (random() < 0.5) await place.simulator.ask({ do: 'prompt', line });
      await pause(PAUSE_MS.most);
    }
  };
  const order = async () => {
    while (!signal.aborted) {
      await pause(ORDER_PAUSE_MS);
      const place = world.stations[Math.floor(random() * world.stations.length)];
      if (place !== undefined) await orderFrom(world, place, ledger, clock);
    }
  };

  for (const place of world.stations) {
    await until(
      `the first card opens ${place.edge}`,
      async () => (await visit(place)) === 'granted',
      FIRST_GRANT_MS,
    );
  }
  const coming = Promise.all([...world.stations.map(bustle), order()]);
  coming.catch(() => {}); // told when they go home
  return {
    async goHome() {
      closing.abort();
      await coming;
    },
  };
}

/** An operator opens a door from afar; that the cloud is away or refuses is part of the day. */
async function orderFrom(world: World, place: StationPlace, ledger: Ledger, clock: Clock) {
  const at = clock.wall();
  try {
    const answer = await fetch(`${world.api_url}/api/v1/stations/${place.code}/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'open', reason: 'chaos' }),
      signal: AbortSignal.timeout(ORDER_TIMEOUT_MS),
    });
    const order = Order.safeParse(await answer.json());
    if (order.success) ledger.ordered({ station: place.code, at, ...pick(order.data) });
    else ledger.note('order refused', { station: place.code, at, status: answer.status });
  } catch (error) {
    ledger.note('order unanswered', { station: place.code, at, problem: String(error) });
  }
}

const pick = ({ id, deadline_at }: z.output<typeof Order>) => ({ id, deadline_at });
