/**
 * The states of all stations, alive: one server-sent stream a browser, shared by its tabs, with an honest badge.
 * The tab that holds the browser's lock leads: it keeps the stream and repeats every message to the others. A broken
 * stream goes on where it stopped, so that nothing is missed; where that cannot be, pages are told to read again (`resync`).
 */
import type { LiveMessage, StationStates } from '@waystation/protocol/api';
import { isSameLife } from '@waystation/protocol/live-number';
import { BEHIND_MAX_MS, HeardChanges, type Changes } from './heard-changes.ts';

/** `stale`: nothing was heard for 40 s, or the tab was asleep. Only `live` may be shown as current. */
export type Line = 'connecting' | 'live' | 'reconnecting' | 'stale' | 'offline';

export interface LiveView {
  readonly line: Line;
  /** Server time (ms) of the newest sign of life; null before the first. */
  readonly heard_at: number | null;
  /** The server's clock minus ours, as last heard. */
  readonly skew_ms: number;
  /** Version of the station index that `states` belongs to; null before the first. */
  readonly version: string | null;
  /** Version of the service that speaks; null before its first hello. */
  readonly service: string | null;
  /** One digit a station; the same array is changed in place, `revision` tells that it was. */
  readonly states: Uint8Array;
  readonly counts: readonly number[];
  readonly revision: number;
}

export interface LiveStore {
  readonly subscribe: (listener: () => void) => () => void;
  readonly view: () => LiveView;
  /** Everything heard, as it comes; not kept. After `hello` and `resync` something may have been missed: read again. */
  readonly onMessage: (listener: (message: LiveMessage) => void) => () => void;
  start(): void;
  stop(): void;
}

/** What tabs of one browser tell each other; only the leading one answers `ask`. */
export type TabWord =
  | { say: 'message'; id: number; message: LiveMessage }
  | { say: 'line'; line: Line; heard_at: number | null }
  | { say: 'ask' };

/** What the store needs of a browser; a test gives its own. */
export interface LivePorts {
  fetchStates(): Promise<StationStates>;
  /** Opens the stream after `sequence`; returns how to close it. `broken` means: it will not come back by itself. */
  openStream(
    sequence: number,
    on: { message(id: number, message: LiveMessage): void; broken(): void },
  ): () => void;
  /** Asks to be the one tab that holds the stream; returns how to give that up, before or after. */
  lead(on_leader: () => void): () => void;
  /** Joins the other tabs of this browser. */
  join(hear: (word: TabWord) => void): { say(word: TabWord): void; leave(): void };
  after(delay_ms: number, wake: () => void): () => void;
  /** Tells at once when the page begins hidden. */
  onVisible(listener: (visible: boolean) => void): () => void;
  online(): boolean;
  /** Wall time, ms. */
  now(): number;
  /** 0..1, so that a thousand consoles do not come back in the same instant. */
  random(): number;
}

export const SILENCE_MAX_MS = 40_000;
export const HIDDEN_MAX_MS = 60_000;
export const RETRY_MS = [500, 1000, 2000, 5000, 10_000] as const;
const STATUS_COUNT = 6;

function countOf(states: Uint8Array): number[] {
  const counts = Array.from({ length: STATUS_COUNT }, () => 0);
  for (const digit of states) counts[digit] = (counts[digit] ?? 0) + 1;
  return counts;
}

export function createLiveStore(ports: LivePorts): LiveStore {
  return new Store(ports);
}

class Store implements LiveStore {
  readonly #ports: LivePorts;
  readonly #listeners = new Set<() => void>();
  readonly #message_listeners = new Set<(message: LiveMessage) => void>();
  #view: LiveView = {
    line: 'connecting',
    heard_at: null,
    skew_ms: 0,
    version: null,
    service: null,
    states: new Uint8Array(0),
    counts: countOf(new Uint8Array(0)),
    revision: 0,
  };
  /** Every message up to this one was heard; 0: none, the next states say where to begin. */
  #sequence = 0;
  /** The states must be read anew before the stream can say what changed. */
  #states_missing = true;
  #fetching: Promise<boolean> | null = null;
  #fetch_again = false;
  readonly #heard = new HeardChanges();
  #looks_again = false;
  #leading = false;
  #resting = false;
  #failures = 0;
  /** Local time of the last sign of life: a computer that slept has an old one. */
  #heard_local = 0;
  /** Raised by `stop` and `start`: what an earlier life began must not go on in the next. */
  #life = 0;
  #tabs: { say(word: TabWord): void; leave(): void } | null = null;
  #close_stream: (() => void) | null = null;
  #give_up_lead = () => {};
  #stop_watch = () => {};
  #stop_retry = () => {};
  #stop_hidden = () => {};
  #stop_visible = () => {};

  constructor(ports: LivePorts) {
    this.#ports = ports;
  }

  readonly view = () => this.#view;

  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly onMessage = (listener: (message: LiveMessage) => void) => {
    this.#message_listeners.add(listener);
    return () => this.#message_listeners.delete(listener);
  };

  start(): void {
    this.#life += 1;
    this.#states_missing = true;
    this.#heard_local = this.#ports.now();
    this.#tabs = this.#ports.join((word) => this.#hearTab(word));
    this.#stop_visible = this.#ports.onVisible((visible) => {
      this.#stop_hidden();
      if (visible) this.#wake();
      else this.#stop_hidden = this.#ports.after(HIDDEN_MAX_MS, () => this.#rest());
    });
    this.#tabs.say({ say: 'ask' });
    this.#runForLead();
    void this.#begin();
    this.#watch();
  }

  stop(): void {
    this.#life += 1;
    this.#resting = false;
    this.#fetching = null;
    this.#stop_visible();
    this.#stop_hidden();
    this.#silence();
    this.#tabs?.leave();
    this.#tabs = null;
  }

  /** Everything that talks to the server ends. */
  #silence(): void {
    this.#leading = false;
    this.#give_up_lead();
    this.#drop();
    this.#stop_watch();
    this.#stop_retry();
  }

  /** Nobody looks: the stream goes to a tab that somebody looks at, or ends. */
  #rest(): void {
    this.#resting = true;
    this.#silence();
    this.#change({ line: 'stale' });
  }

  /** Somebody looks again. After a long time everything is read anew; nobody knows what was missed. */
  #wake(): void {
    const asleep = this.#ports.now() - this.#heard_local > HIDDEN_MAX_MS;
    if (!this.#resting && !asleep) return;
    const rested = this.#resting;
    this.#resting = false;
    this.#drop();
    this.#stop_retry();
    this.#failures = 0;
    this.#sequence = 0;
    this.#missStates();
    this.#setLine('reconnecting');
    this.#tabs?.say({ say: 'ask' });
    if (rested) this.#runForLead();
    this.#tell({ type: 'resync' });
    void this.#begin();
    this.#watch();
  }

  #runForLead(): void {
    const life = this.#life;
    this.#give_up_lead = this.#ports.lead(() => {
      if (life !== this.#life || this.#resting) return;
      this.#leading = true;
      void this.#begin();
    });
  }

  #change(next: Partial<LiveView>): void {
    this.#view = { ...this.#view, ...next, revision: this.#view.revision + 1 };
    for (const listener of this.#listeners) listener();
  }

  #setLine(line: Line): void {
    if (this.#view.line !== line) this.#change({ line });
    if (this.#leading) this.#sayLine();
  }

  #sayLine(): void {
    this.#tabs?.say({ say: 'line', line: this.#view.line, heard_at: this.#view.heard_at });
  }

  #tell(message: LiveMessage): void {
    for (const listener of this.#message_listeners) listener(message);
  }

  /** A sign of life came: the next must come in time. */
  #watch(): void {
    this.#stop_watch();
    this.#stop_watch = this.#ports.after(SILENCE_MAX_MS, () => {
      this.#setLine(this.#ports.online() ? 'stale' : 'offline');
      this.#missStates();
      this.#drop();
      void this.#begin();
      this.#watch();
    });
  }

  #hearTab(word: TabWord): void {
    if (this.#resting) return;
    if (this.#leading) {
      if (word.say === 'ask') this.#sayLine();
      return;
    }
    switch (word.say) {
      case 'message':
        return this.#take(word.id, word.message);
      case 'line':
        this.#change({ line: word.line, heard_at: word.heard_at ?? this.#view.heard_at });
        if (word.line === 'live') this.#alive();
        return;
      case 'ask':
        return;
      default:
        word satisfies never;
    }
  }

  #alive(): void {
    this.#heard_local = this.#ports.now();
    this.#watch();
  }

  #take(id: number, message: LiveMessage): void {
    // Told before, by the tab that led before.
    const foreign = id > 0 && this.#sequence > 0 && !isSameLife(id, this.#sequence);
    if (id > 0 && id <= this.#sequence && !foreign && message.type !== 'resync') return;
    if (id > 0) this.#sequence = id;
    if (foreign) this.#lookAgain(true);
    this.#alive();
    const said: Partial<LiveView> = {
      ...('server_at' in message
        ? { heard_at: message.server_at, skew_ms: message.server_at - this.#ports.now() }
        : {}),
      ...(message.type === 'hello' ? { service: message.version } : {}),
      ...(message.type === 'states' ? { counts: this.#apply(id, message.changes) } : {}),
    };
    if (this.#view.line !== 'live' || Object.keys(said).length > 0)
      this.#change({ ...said, line: 'live' });
    if (message.type === 'resync') {
      this.#missStates();
      void this.#begin();
    }
    this.#tell(message);
  }

  /** Puts the changes into the states; returns the counts as they are then. */
  #apply(id: number, changes: Changes): number[] {
    this.#heard.add(id, changes, this.#ports.now());
    const { states } = this.#view;
    const counts = [...this.#view.counts];
    for (const [index, digit] of changes) {
      const before = states[index];
      if (before === undefined || before === digit) continue;
      counts[before] = (counts[before] ?? 1) - 1;
      counts[digit] = (counts[digit] ?? 0) + 1;
      states[index] = digit;
    }
    return counts;
  }

  /** The states are not what the server has; a reading already under way may be too old as well. */
  #missStates(): void {
    this.#states_missing = true;
    this.#fetch_again = true;
  }

  /** Reads the states; one reading at a time, and once more when they were missed again meanwhile. */
  #fetchStates(): Promise<boolean> {
    if (this.#fetching) return this.#fetching;
    const life = this.#life;
    const read = async (): Promise<boolean> => {
      let fetched: StationStates;
      do {
        this.#fetch_again = false;
        this.#heard.readingBegins(this.#ports.now());
        fetched = await this.#ports.fetchStates();
        if (life !== this.#life) return false;
      } while (this.#fetch_again);
      this.#show(fetched);
      return true;
    };
    const reading = read()
      .catch(() => false)
      .finally(() => {
        if (life === this.#life) this.#fetching = null;
      });
    this.#fetching = reading;
    return reading;
  }

  #show(fetched: StationStates): void {
    const states = Uint8Array.from(fetched.states, Number);
    this.#heard.putOver(states, fetched.sequence, this.#sequence);
    // Never moved forward otherwise: what is still under way up to there would be taken for told.
    if (this.#sequence === 0) this.#sequence = fetched.sequence;
    if (!isSameLife(fetched.sequence, this.#sequence)) this.#lookAgain();
    this.#states_missing = false;
    this.#change({ states, counts: countOf(states), version: fetched.version });
  }

  /** The states are of another cloud than the stream, and perhaps a little behind: once more, when they no longer are. */
  #lookAgain(another_stream = false): void {
    if (this.#looks_again && !another_stream) return;
    this.#looks_again = true;
    const life = this.#life;
    this.#ports.after(BEHIND_MAX_MS, () => {
      if (life !== this.#life || this.#resting) return;
      this.#missStates();
      void this.#begin();
    });
  }

  /** Gets the tab going from wherever it is: states if they are missing, and for the leader the stream. */
  async #begin(): Promise<void> {
    const life = this.#life;
    this.#stop_retry();
    if (this.#states_missing) {
      const read = await this.#fetchStates();
      if (life !== this.#life || this.#resting) return;
      if (!read) return this.#broken();
    }
    if (this.#leading && !this.#close_stream) this.#openStream();
  }

  #openStream(): void {
    let over = false;
    const close = this.#ports.openStream(this.#sequence, {
      message: (id, message) => {
        if (over) return;
        this.#failures = 0;
        this.#tabs?.say({ say: 'message', id, message });
        this.#take(id, message);
      },
      broken: () => {
        if (!over) this.#broken();
      },
    });
    this.#close_stream = () => {
      over = true;
      close();
    };
  }

  #drop(): void {
    this.#close_stream?.();
    this.#close_stream = null;
  }

  #broken(): void {
    this.#drop();
    // A second failure in a row: if only the stream is blocked, the states at least are fresh.
    if (this.#failures > 0) this.#states_missing = true;
    const wait_ms = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 10_000;
    this.#failures += 1;
    if (!this.#ports.online()) this.#setLine('offline');
    else this.#setLine(this.#view.line === 'stale' ? 'stale' : 'reconnecting');
    this.#stop_retry();
    this.#stop_retry = this.#ports.after(
      wait_ms * (0.75 + this.#ports.random() / 2),
      () => void this.#begin(),
    );
  }
}
