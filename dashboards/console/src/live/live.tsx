/** The live store of this tab, and hooks that read it. */
import {
  createContext,
  use,
  useEffect,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import { useQueryClient } from '@tanstack/react-query';
import type { LiveMessage } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { browserPorts } from './browser-ports.ts';
import { createLiveStore, type LiveStore, type LiveView } from './live-store.ts';

const LiveContext = createContext<LiveStore | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [store] = useState(() =>
    createLiveStore(
      browserPorts(() =>
        // Through the queries, so that a session that ended is noticed here as everywhere.
        queries.fetchQuery({
          queryKey: ['states'],
          queryFn: api.stationStates,
          retry: false,
          staleTime: 0,
          gcTime: 0,
        }),
      ),
    ),
  );
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);
  return <LiveContext value={store}>{children}</LiveContext>;
}

function useStore(): LiveStore {
  const store = use(LiveContext);
  if (!store) throw new Error('live data outside its provider');
  return store;
}

export function useLive(): LiveView {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, store.view);
}

/** The server's time (ms) by the half minute, as far as it was heard: ages must not follow a wrong clock in the office. */
export function useNow(): number {
  const { skew_ms } = useLive();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now + skew_ms;
}

/** Calls `listener` for every live message while mounted; keep it stable. */
export function useLiveMessages(listener: (message: LiveMessage) => void): void {
  const store = useStore();
  useEffect(() => store.onMessage(listener), [store, listener]);
}
