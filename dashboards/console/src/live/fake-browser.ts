/** For the tests: a server with a live stream, and a browser with tabs, one lock and one channel; time moves by hand. */
import type { LiveMessage, StationStates } from '@waystation/protocol/api';
import { createLiveStore, type LivePorts, type LiveStore, type TabWord } from './live-store.ts';

/** Timers and deliveries in the order of their time. */
export class FakeTime {
  now = 1_000_000;
  #tasks: { at: number; run: () => void }[] = [];

  after(delay_ms: number, run: () => void): () => void {
    const task = { at: this.now + delay_ms, run };
    this.#tasks.push(task);
    return () => void (this.#tasks = this.#tasks.filter((other) => other !== task));
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await settle();
      const next = [...this.#tasks].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#tasks = this.#tasks.filter((task) => task !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
    await settle();
  }
}

/** Lets every promise that is already resolved go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

const BEAT_MS = 15_000;
/** How long a message is under way: longer than an answer to a question, sometimes. */
const SEND_MS = 5;
/** From tab to tab; a lock changes hands faster. */
const TAB_MS = 2;

interface Page {
  send(id: number, message: LiveMessage): void;
  broken(): void;
}

/** Speaks as the cloud does: hello, replay after a number, resync when it cannot, a beat every 15 s. */
export class FakeServer {
  readonly #time: FakeTime;
  states: number[];
  version = 'index-1';
  service = '1.0.0';
  /** `dead`: takes the connection and says nothing; `down`: refuses. */
  mode: 'up' | 'down' | 'dead' = 'up';
  kept_max = 50;
  fetch_ms = 3;
  fetches = 0;
  #sequence: number;
  #kept: { id: number; message: LiveMessage }[] = [];
  readonly #pages = new Set<Page>();

  constructor(time: FakeTime, states: readonly number[], first_sequence = 500) {
    this.#time = time;
    this.#sequence = first_sequence;
    this.states = [...states];
    this.#beat();
  }

  get connections(): number {
    return this.#pages.size;
  }

  #beat(): void {
    this.#time.after(BEAT_MS, () => {
      this.#tell(0, { type: 'beat', server_at: this.#time.now });
      this.#beat();
    });
  }

  /** A cut loses what is under way. */
  #send(page: Page, id: number, message: LiveMessage): void {
    this.#time.after(SEND_MS, () => {
      if (this.#pages.has(page)) page.send(id, message);
    });
  }

  #tell(id: number, message: LiveMessage): void {
    if (this.mode === 'up') for (const page of this.#pages) this.#send(page, id, message);
  }

  publish(message: LiveMessage): void {
    this.#sequence += 1;
    const id = this.#sequence;
    this.#kept.push({ id, message });
    if (this.#kept.length > this.kept_max) this.#kept.shift();
    this.#tell(id, message);
  }

  move(index: number, digit: number): void {
    this.states[index] = digit;
    this.publish({ type: 'states', changes: [[index, digit]] });
  }

  /** All sockets are cut. */
  cut(): void {
    const cut = [...this.#pages];
    this.#pages.clear();
    for (const page of cut) page.broken();
  }

  /** A new life: nothing is kept, numbers are higher. */
  restart(): void {
    this.cut();
    this.#kept = [];
    this.#sequence += 10_000;
    this.mode = 'up';
  }

  fetchStates(): Promise<StationStates> {
    this.fetches += 1;
    const { mode, version } = this;
    const answer = { version, sequence: this.#sequence, states: this.states.join('') };
    return new Promise((resolve, reject) => {
      this.#time.after(this.fetch_ms, () =>
        mode === 'up' ? resolve(answer) : reject(new Error('no answer')),
      );
    });
  }

  open(after: number, page: Page): () => void {
    if (this.mode === 'down') {
      this.#time.after(1, () => page.broken());
      return () => {};
    }
    const stop = this.#time.after(1, () => {
      this.#pages.add(page);
      if (this.mode === 'up') this.#greet(after, page);
    });
    return () => {
      stop();
      this.#pages.delete(page);
    };
  }

  #greet(after: number, page: Page): void {
    const sequence = this.#sequence;
    this.#send(page, 0, {
      type: 'hello',
      sequence,
      server_at: this.#time.now,
      version: this.service,
    });
    const oldest = sequence - this.#kept.length;
    if (after < oldest || after > sequence) return this.#send(page, sequence, { type: 'resync' });
    for (const { id, message } of this.#kept) if (id > after) this.#send(page, id, message);
  }
}

export interface FakeTab {
  readonly store: LiveStore;
  readonly heard: LiveMessage[];
  online: boolean;
  show(visible: boolean): void;
  close(): void;
}

export class FakeBrowser {
  readonly #time: FakeTime;
  readonly #server: FakeServer;
  readonly #read_from: FakeServer;
  readonly #tabs = new Set<(word: TabWord) => void>();
  readonly #queue: (() => void)[] = [];

  /** `read_from`: a balancer gives each request another cloud. */
  constructor(time: FakeTime, server: FakeServer, read_from = server) {
    this.#time = time;
    this.#server = server;
    this.#read_from = read_from;
  }

  #lead(on_leader: () => void): () => void {
    const granted = () => on_leader();
    this.#queue.push(granted);
    if (this.#queue.length === 1) this.#time.after(0, () => this.#queue[0]?.());
    return () => {
      const place = this.#queue.indexOf(granted);
      if (place < 0) return;
      this.#queue.splice(place, 1);
      if (place === 0) this.#time.after(0, () => this.#queue[0]?.());
    };
  }

  tab(): FakeTab {
    const time = this.#time;
    let onVisible: (visible: boolean) => void = () => {};
    const heard: LiveMessage[] = [];
    const ports: LivePorts = {
      fetchStates: () => this.#read_from.fetchStates(),
      openStream: (sequence, on) =>
        this.#server.open(sequence, { send: on.message, broken: on.broken }),
      lead: (on_leader) => this.#lead(on_leader),
      join: (hear) => {
        this.#tabs.add(hear);
        return {
          say: (word) => {
            for (const other of this.#tabs)
              if (other !== hear) time.after(TAB_MS, () => this.#tabs.has(other) && other(word));
          },
          leave: () => void this.#tabs.delete(hear),
        };
      },
      after: (delay_ms, wake) => time.after(delay_ms, wake),
      onVisible: (listener) => {
        onVisible = listener;
        return () => void (onVisible = () => {});
      },
      online: () => tab.online,
      now: () => time.now,
      random: () => 0.5,
    };
    const store = createLiveStore(ports);
    store.onMessage((message) => heard.push(message));
    store.start();
    const tab: FakeTab = {
      store,
      heard,
      online: true,
      show: (visible) => onVisible(visible),
      close: () => store.stop(),
    };
    return tab;
  }
}

/** What a tab shows, and what it was told. */
export const digits = (tab: FakeTab) => [...tab.store.view().states];
export const line = (tab: FakeTab) => tab.store.view().line;
export const eventsOf = (tab: FakeTab) =>
  tab.heard.flatMap((message) => (message.type === 'event' ? [message.event.seq] : []));

/** A door event, told apart by its number. */
export function event(seq: number): LiveMessage {
  return {
    type: 'event',
    event: {
      station: 's',
      epoch: 'e',
      seq,
      kind: 'door',
      at: 1,
      received_at: 2,
      clock: 'synced',
      summary: {},
    },
  };
}
