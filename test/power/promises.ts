/** What a station said it had made durable, and what it said it was about to do: all that the auditor of a cut knows. */
import { z } from 'zod';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import { stationCode } from '@waystation/protocol/station-code';

export const STATION = stationCode('370102001', 'W', 1);
export const STARTED_AT = 1_780_000_000_000;
/** Cards keep their number below this, so that the auditor may ask for each. */
export const CARDS = 40;

const at = { at_ms: z.number() };
export const Said = z.discriminatedUnion('said', [
  z.strictObject({
    said: z.literal('event'),
    ...at,
    epoch: z.string(),
    seq: z.int(),
    body: z.string(),
  }),
  /** Before the acknowledgement is given to the outbox. */
  z.strictObject({
    said: z.literal('acknowledging'),
    ...at,
    stream: z.enum(['event', 'sample']),
    through: z.int(),
  }),
  /** Samples up to `head` are committed. */
  z.strictObject({ said: z.literal('samples'), ...at, epoch: z.string(), head: z.int() }),
  z.strictObject({ said: z.literal('card'), ...at, card: z.int(), sequence: z.int() }),
  z.strictObject({ said: z.literal('command'), ...at, id: z.string() }),
  z.strictObject({ said: z.literal('trusting'), ...at, version: z.int() }),
  z.strictObject({ said: z.literal('trusted'), ...at, version: z.int() }),
  /** Before and after the outbox begins a new epoch. */
  z.strictObject({ said: z.literal('renewing'), ...at }),
  z.strictObject({ said: z.literal('renewed'), ...at, epoch: z.string() }),
]);
export type Said = z.output<typeof Said>;

export interface PromisedEvent {
  seq: number;
  body: string;
}

/** Grows with every sentence. */
export interface Promises {
  at_ms: number;
  epoch: string | null;
  renewing: boolean;
  /** Of this epoch, not known to be acknowledged. */
  events: PromisedEvent[];
  /** Chain hash by number, of this epoch. */
  hashes: Map<number, string>;
  acknowledging: { event: number; sample: number };
  sample_head: number;
  cards: Map<number, { sequence: number; at_ms: number }>;
  commands: Set<string>;
  trusted: number;
  trusting: number;
}

export function noPromises(): Promises {
  return {
    at_ms: 0,
    epoch: null,
    renewing: false,
    events: [],
    hashes: new Map(),
    acknowledging: { event: 0, sample: 0 },
    sample_head: 0,
    cards: new Map(),
    commands: new Set(),
    trusted: 0,
    trusting: 0,
  };
}

function beginEpoch(promise: Promises, epoch: string): void {
  promise.epoch = epoch;
  promise.events = [];
  promise.hashes = new Map([[0, chainStart(STATION, epoch)]]);
  promise.acknowledging = { event: 0, sample: 0 };
  promise.sample_head = 0;
}

export function hear(promise: Promises, said: Said): void {
  promise.at_ms = said.at_ms;
  switch (said.said) {
    case 'event': {
      if (promise.epoch === null) beginEpoch(promise, said.epoch);
      promise.events.push({ seq: said.seq, body: said.body });
      const previous = promise.hashes.get(said.seq - 1);
      if (previous !== undefined) promise.hashes.set(said.seq, chainNext(previous, said.body));
      return;
    }
    case 'acknowledging':
      promise.acknowledging[said.stream] = said.through;
      if (said.stream === 'event')
        promise.events = promise.events.filter(({ seq }) => seq > said.through);
      return;
    case 'samples':
      promise.sample_head = said.head;
      return;
    case 'card':
      promise.cards.set(said.card, { sequence: said.sequence, at_ms: said.at_ms });
      return;
    case 'command':
      promise.commands.add(said.id);
      return;
    case 'trusting':
      promise.trusting = said.version;
      return;
    case 'trusted':
      promise.trusted = said.version;
      return;
    case 'renewing':
      promise.renewing = true;
      return;
    case 'renewed':
      promise.renewing = false;
      beginEpoch(promise, said.epoch);
      return;
    default:
      said satisfies never;
  }
}

/** What a trust file of this version holds: longer than a sector, of another length each time. */
export function trustBody(version: number): string {
  return JSON.stringify({ version, filler: `${version} `.repeat(200 + ((version * 97) % 900)) });
}
