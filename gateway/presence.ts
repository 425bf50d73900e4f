/**
 * Is the station there? Births and deaths carry the session they belong to, so that a late will,
 * published when a forgotten connection times out, cannot declare the station's living session dead.
 */
import type { StationPresence } from '@waystation/protocol/uplink';

export type PresenceState =
  | { name: 'unknown' }
  | { name: 'online'; session: string }
  | { name: 'offline'; session: string };

export type PresenceInput =
  /** The station published its birth or its death, or the broker published its last will. */
  | { input: 'published'; presence: StationPresence }
  /** The connection that carried the birth ended, whatever became of its will. */
  | { input: 'closed'; session: string };

export interface PresenceStep {
  state: PresenceState;
  /** What the cloud should be told, if anything. */
  report: StationPresence | null;
}

/** Pure. A birth always counts: a living station must not be shown dead. */
export function stepPresence(state: PresenceState, event: PresenceInput): PresenceStep {
  const same: PresenceStep = { state, report: null };
  switch (event.input) {
    case 'published': {
      const { presence } = event;
      const { session } = presence;
      if (presence.state === 'online')
        return { state: { name: 'online', session }, report: presence };
      if (state.name === 'offline') return same;
      if (state.name === 'online' && state.session !== session) return same;
      return { state: { name: 'offline', session }, report: presence };
    }
    case 'closed': {
      const { session } = event;
      if (state.name !== 'online' || state.session !== session) return same;
      return {
        state: { name: 'offline', session },
        report: { state: 'offline', session, clean: false },
      };
    }
    default:
      return event satisfies never;
  }
}
