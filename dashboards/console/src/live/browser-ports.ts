/** The live store's ports on a real browser: EventSource, Web Locks for the one leading tab, BroadcastChannel for the rest. */
import type { LiveMessage, StationStates } from '@waystation/protocol/api';
import type { LivePorts, TabWord } from './live-store.ts';

const NAME = 'waystation-live';

/** Browsers give locks to secure pages only; elsewhere each tab leads itself. */
function lead(on_leader: () => void): () => void {
  const locks = 'locks' in navigator ? navigator.locks : null;
  if (!locks) {
    on_leader();
    return () => {};
  }
  const given_up = new AbortController();
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  locks
    .request(NAME, { signal: given_up.signal }, () => {
      on_leader();
      return held;
    })
    // Given up before it was our turn: nothing to do.
    .catch(() => {});
  return () => {
    release();
    given_up.abort();
  };
}

export function browserPorts(fetchStates: () => Promise<StationStates>): LivePorts {
  return {
    fetchStates,
    openStream(sequence, on) {
      const source = new EventSource(`/api/v1/live?after=${sequence}`);
      source.addEventListener('message', (event: MessageEvent<string>) => {
        on.message(Number(event.lastEventId) || 0, JSON.parse(event.data) as LiveMessage);
      });
      source.addEventListener('error', () => on.broken());
      return () => source.close();
    },
    lead,
    join(hear) {
      const channel = new BroadcastChannel(NAME);
      channel.addEventListener('message', (event: MessageEvent<TabWord>) => hear(event.data));
      return { say: (word) => channel.postMessage(word), leave: () => channel.close() };
    },
    after(delay_ms, wake) {
      const timer = setTimeout(wake, delay_ms);
      return () => clearTimeout(timer);
    },
    onVisible(listener) {
      const changed = () => listener(document.visibilityState === 'visible');
      document.addEventListener('visibilitychange', changed);
      if (document.visibilityState === 'hidden') listener(false);
      return () => document.removeEventListener('visibilitychange', changed);
    },
    online: () => navigator.onLine,
    // Wall time: it goes on while the computer sleeps.
    now: Date.now,
    random: Math.random,
  };
}
