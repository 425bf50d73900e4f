/**
 * The states of all stations, alive: one server-sent stream a browser, shared by its tabs, with an honest badge.
 * A stream that says nothing for 40 s is closed and opened anew; until states are fetched again they count as stale.
 */
import type { LiveMessage, StationStates } from '@waystation/protocol/api';

export type Line = 'connecting' | 'live' | 'reconnecting' | 'stale' | 'offline';

export interface LiveView {
  readonly line: Line;
  /** Server time (ms) of the newest thing heard; null before the first. */
  readonly heard_at: number | null;
  /** One digit a station; the same array is changed in place, `revision` tells that it was. */
  readonly states: Uint8Array;
  readonly counts: readonly number[];
  readonly revision: number;
}

export interface LiveStore {
  subscribe(listener: () => void): () => void;
  view(): LiveView;
  /** Events and command answers as they come; not kept. */
  onMessage(listener: (message: LiveMessage) => void): () => void;
  start(): void;
  stop(): void;
}

/** What the store needs of a browser; a test gives its own. */
export interface LivePorts {
  fetchStates(): Promise<StationStates>;
  /** Opens the stream after `sequence`; returns how to close it. */
  openStream(
    sequence: number,
    on: { message(id: number, message: LiveMessage): void; broken(): void },
  ): () => void;
  /** Resolves when this tab is the one that holds the stream; the returned promise keeps it until `release`. */
  lead(on_leader: () => void): () => void;
  /** To and from the other tabs of this browser. */
  channel: {
    post(id: number, message: LiveMessage): void;
    listen(listener: (id: number, message: LiveMessage) => void): () => void;
  };
  after(delay_ms: number, wake: () => void): () => void;
  onVisible(listener: (visible: boolean) => void): () => void;
  online(): boolean;
}

export const SILENCE_MAX_MS = 40_000;
export const HIDDEN_MAX_MS = 60_000;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];
const STATUS_COUNT = 6;

function countOf(states: Uint8Array): number[] {
  const counts = Array.from({ length: STATUS_COUNT }, () => 0);
  for (const digit of states) counts[digit] = (counts[digit] ?? 0) + 1;
  return counts;
}

export function createLiveStore(ports: LivePorts): LiveStore {
  const listeners = new Set<() => void>();
  const message_listeners = new Set<(message: LiveMessage) => void>();
  let view: LiveView = {
    line: 'connecting',
    heard_at: null,
    states: new Uint8Array(0),
    counts: countOf(new Uint8Array(0)),
    revision: 0,
  };
  let sequence = 0;
  let leader = false;
  let failures = 0;
  let close_stream: (() => void) | null = null;
  let stop_watch: () => void = () => {};
  let stop_retry: () => void = () => {};
  const ends: (() => void)[] = [];

  const change = (next: Partial<LiveView>) => {
    view = { ...view, ...next, revision: view.revision + 1 };
    for (const listener of listeners) listener();
  };

  function watch(): void {
    stop_watch();
    stop_watch = ports.after(SILENCE_MAX_MS, () => {
      change({ line: ports.online() ? 'stale' : 'offline' });
      if (leader) restart();
      else void refetch();
    });
  }

  async function refetch(): Promise<boolean> {
    try {
      const fetched = await ports.fetchStates();
      const states = Uint8Array.from(fetched.states, Number);
      sequence = fetched.sequence;
      change({ states, counts: countOf(states) });
      return true;
    } catch {
      return false;
    }
  }

  function take(id: number, message: LiveMessage): void {
    watch();
    if (id > 0) sequence = Math.max(sequence, id);
    const heard = 'server_at' in message ? { heard_at: message.server_at } : {};
    switch (message.type) {
      case 'states': {
        const counts = [...view.counts];
        for (const [index, digit] of message.changes) {
          const before = view.states[index];
          if (before === undefined || before === digit) continue;
          counts[before] = (counts[before] ?? 1) - 1;
          counts[digit] = (counts[digit] ?? 0) + 1;
          view.states[index] = digit;
        }
        change({ counts, line: 'live' });
        break;
      }
      case 'resync':
        void refetch();
        break;
      case 'hello':
      case 'beat':
      case 'event':
      case 'command':
        if (view.line !== 'live' || 'heard_at' in heard) change({ line: 'live', ...heard });
        break;
      default:
        message satisfies never;
    }
    for (const listener of message_listeners) listener(message);
  }

  function restart(): void {
    close_stream?.();
    close_stream = null;
    stop_retry();
    const wait_ms = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 10_000;
    failures += 1;
    stop_retry = ports.after(wait_ms, () => void open());
  }

  async function open(): Promise<void> {
    if (!(await refetch())) {
      change({ line: ports.online() ? 'reconnecting' : 'offline' });
      return restart();
    }
    if (!leader) return;
    close_stream = ports.openStream(sequence, {
      message(id, message) {
        failures = 0;
        ports.channel.post(id, message);
        take(id, message);
      },
      broken() {
        change({ line: ports.online() ? 'reconnecting' : 'offline' });
        restart();
      },
    });
    watch();
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    view: () => view,
    onMessage(listener) {
      message_listeners.add(listener);
      return () => message_listeners.delete(listener);
    },
    start() {
      void open();
      watch();
      ends.push(
        ports.lead(() => {
          leader = true;
          void open();
        }),
        ports.channel.listen((id, message) => {
          if (!leader) take(id, message);
        }),
        ports.onVisible((visible) => {
          if (visible) void refetch();
        }),
      );
    },
    stop() {
      for (const end of ends.splice(0)) end();
      close_stream?.();
      stop_watch();
      stop_retry();
    },
  };
}
