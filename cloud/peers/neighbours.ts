/** What a reading of the register means: who is there, which gateways they hold, and whether one died without a word. */
import type { PeerRow } from './register.ts';

export interface Neighbours {
  /** All that may still read what is told. */
  readonly ids: readonly string[];
  readonly alive: ReadonlySet<string>;
  /** Gateways and groups with a stream at a living neighbour. */
  readonly reaches: ReadonlySet<string>;
}

export const NO_NEIGHBOURS: Neighbours = { ids: [], alive: new Set(), reaches: new Set() };

export interface NeighbourStep {
  next: Neighbours;
  /** Their gateways came or went. */
  moved: string[];
  /** One died: what it had committed and not told is in the tables only. */
  died: boolean;
  /** One is new: tell it of our gateways by the register, and of all that happens from now on. */
  came: boolean;
}

/** A neighbour that leaves takes its row along; one whose row stands while it says nothing has died. */
export function stepNeighbours(before: Neighbours, rows: readonly PeerRow[]): NeighbourStep {
  const living = rows.filter(({ alive }) => alive);
  const next: Neighbours = {
    ids: rows.map(({ id }) => id),
    alive: new Set(living.map(({ id }) => id)),
    reaches: new Set(living.flatMap(({ reaches }) => reaches)),
  };
  const silent = rows.filter(({ alive }) => !alive).map(({ id }) => id);
  const both = new Set([...before.reaches, ...next.reaches]);
  return {
    next,
    moved: [...both].filter((reach) => before.reaches.has(reach) !== next.reaches.has(reach)),
    died: silent.some((id) => before.alive.has(id)),
    came: next.ids.some((id) => !before.ids.includes(id)),
  };
}
