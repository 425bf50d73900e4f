/** What one cloud tells the others: where in the tables something is new, and what only it can see. Collected, then told at once. */
import { z } from 'zod';
import { EventLine } from '@waystation/protocol/api';
import { PresenceReport } from '@waystation/protocol/gateway-link';
import { StationCodeSchema } from '@waystation/protocol/station-code';

/** Of each list in one bulletin: a few hundred kilobytes. What is more goes with the next one. */
export const LIST_MAX = 1_000;
/** Beyond this the bulletin says `everything` instead: the others read all anew. */
export const COLLECTED_MAX = 20_000;

const Reach = PresenceReport.shape.gateway;
const id = z.string().max(64);
const list = <T extends z.ZodType>(item: T) => z.array(item).max(LIST_MAX);

export const Bulletin = z.strictObject({
  /** Ids of stations whose state or presence may have changed. */
  stations: list(z.int()),
  /** Events as pages see them, with the path of their station. */
  events: list(z.strictObject({ path: z.string(), event: EventLine })),
  /** Commands with a new state. */
  commands: list(id),
  /** Orders given where no stream of their station's gateway is open: who has one takes them. */
  orders: list(id),
  /** Stations that need newer trust, by the gateway or group that reaches them. */
  needs: list(
    z.strictObject({
      reach: Reach,
      station: StationCodeSchema,
      keySet: z.boolean(),
      statusList: z.boolean(),
    }),
  ),
  /** Gateways or groups of which a stream has opened or ended. */
  reaches: list(Reach),
  /** A key set or status list is out. */
  trust: z.boolean(),
  /** More than could be told. */
  everything: z.boolean(),
});
export type Bulletin = z.output<typeof Bulletin>;

export const NOTHING_NEW: Bulletin = {
  stations: [],
  events: [],
  commands: [],
  orders: [],
  needs: [],
  reaches: [],
  trust: false,
  everything: false,
};

const LISTS = ['stations', 'events', 'commands', 'orders', 'needs', 'reaches'] as const;

export interface BulletinPad {
  add(news: Partial<Bulletin>): void;
  /** The next bulletin, or `null` when there is nothing to tell. */
  take(): Bulletin | null;
  /** What was collected is forgotten, the next bulletin says `everything`. */
  giveUp(): void;
  /** Nobody listens: nothing is to be told. */
  clear(): void;
  readonly counts: { overflows: number };
}

const unique = <T extends string | number>(items: readonly T[]): T[] => [...new Set(items)];

export function createBulletinPad(): BulletinPad {
  let collected = structuredClone(NOTHING_NEW);
  const counts = { overflows: 0 };
  const size = () => LISTS.reduce((sum, name) => sum + collected[name].length, 0);

  function clear(): void {
    collected = structuredClone(NOTHING_NEW);
  }
  function giveUp(): void {
    counts.overflows += 1;
    clear();
    collected.everything = true;
  }
  /** One station may be touched by every batch: told once. */
  function fold(): void {
    collected.stations = unique(collected.stations);
    collected.commands = unique(collected.commands);
    collected.reaches = unique(collected.reaches);
  }
  function add(news: Partial<Bulletin>): void {
    collected.trust ||= news.trust === true;
    // Who reads everything anew need not be told the parts, but for orders: a person waits for them.
    if (collected.everything) {
      collected.orders.push(...(news.orders ?? []));
      if (size() > COLLECTED_MAX) giveUp();
      return;
    }
    collected.everything = news.everything === true;
    collected.stations.push(...(news.stations ?? []));
    collected.events.push(...(news.events ?? []));
    collected.commands.push(...(news.commands ?? []));
    collected.orders.push(...(news.orders ?? []));
    collected.needs.push(...(news.needs ?? []));
    collected.reaches.push(...(news.reaches ?? []));
    if (size() <= COLLECTED_MAX) return;
    fold();
    if (size() > COLLECTED_MAX) giveUp();
  }
  function take(): Bulletin | null {
    fold();
    if (size() === 0 && !collected.trust && !collected.everything) return null;
    const { trust, everything } = collected;
    collected.trust = false;
    collected.everything = false;
    return {
      stations: collected.stations.splice(0, LIST_MAX),
      events: collected.events.splice(0, LIST_MAX),
      commands: collected.commands.splice(0, LIST_MAX),
      orders: collected.orders.splice(0, LIST_MAX),
      needs: collected.needs.splice(0, LIST_MAX),
      reaches: collected.reaches.splice(0, LIST_MAX),
      trust,
      everything,
    };
  }
  return { add, take, giveUp, clear, counts };
}
