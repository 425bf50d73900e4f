/** The live store's ports on a real browser: EventSource, Web Locks for the one leading tab, BroadcastChannel for the rest. */
import type { LiveMessage } from '@waystation/protocol/api';
import { api } from '../api.ts';
import type { LivePorts } from './live-store.ts';

const NAME = 'waystation-live';

export function browserPorts(): LivePorts {
  const channel = new BroadcastChannel(NAME);
  return {
    fetchStates: api.stationStates,
    openStream(sequence, on) {
      const source = new EventSource(`/api/v1/live?after=${sequence}`);
      source.addEventListener('message', (event: MessageEvent<string>) => {
        on.message(Number(event.lastEventId) || 0, JSON.parse(event.data) as LiveMessage);
      });
      source.addEventListener('error', () => on.broken());
      return () => source.close();
    },
    lead(on_leader) {
      const given_up = new AbortController();
      let release: () => void = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      navigator.locks
        .request(NAME, { signal: given_up.signal }, () => {
          on_leader();
          return held;
        })
        // Asked for and given up before it was our turn: nothing to do.
        .catch(() => {});
      return () => {
        release();
        given_up.abort();
      };
    },
    channel: {
      post: (id, message) => channel.postMessage({ id, message }),
      listen(listener) {
        const heard = (event: MessageEvent<{ id: number; message: LiveMessage }>) =>
          listener(event.data.id, event.data.message);
        channel.addEventListener('message', heard);
        return () => channel.removeEventListener('message', heard);
      },
    },
    after(delay_ms, wake) {
      const timer = setTimeout(wake, delay_ms);
      return () => clearTimeout(timer);
    },
    onVisible(listener) {
      const changed = () => listener(document.visibilityState === 'visible');
      document.addEventListener('visibilitychange', changed);
      return () => document.removeEventListener('visibilitychange', changed);
    },
    online: () => navigator.onLine,
  };
}
