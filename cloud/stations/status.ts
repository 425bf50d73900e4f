/** What the map shows of a station: one pure function over what is known of it. */
import type { StationStatus } from '@waystation/protocol/api';
import type { DoorMode, PortalState, RoomState } from '@waystation/protocol/records';
import type { EpochMs } from '@waystation/runtime/clock';

/** What the status is made of; the rest of the state does not move it. */
export interface StatusFacts {
  lifecycle: 'planned' | 'active' | 'suspended' | 'retired';
  /** The last word of birth or will; `null` when none was ever heard. */
  online: boolean | null;
  /** Is the gateway that heard it in touch with us? If not, we know nothing. */
  gateway_here: boolean;
  /** When a record was received last, ms; `null`: none yet. */
  last_received_at: number | null;
  portal: PortalState | null;
  mode: DoorMode | null;
  room: RoomState | null;
  smoke: boolean;
  sos: boolean;
  tamper: boolean;
  presence: boolean;
  /** The I/O controller answers: without it no door opens. */
  controller: boolean;
  occupancy: { value: number; at: number } | null;
}

/** Records come at least every few minutes; after this the old ones are not shown as current. */
export const RECORD_AGE_MAX_MS = 30 * 60_000;
/** A count of people older than this says nothing about now. */
export const OCCUPANCY_AGE_MAX_MS = 30 * 60_000;

const ALARM_PORTALS: readonly (PortalState | null)[] = ['heldOpen', 'forcedOpen', 'fault'];
const CLOSED_MODES: readonly (DoorMode | null)[] = ['lockdown', 'maintenance'];
const USED_ROOMS: readonly (RoomState | null)[] = ['occupied', 'bolted', 'overstay'];

function isAlarm(facts: StatusFacts): boolean {
  const { smoke, sos, tamper, controller, portal, room } = facts;
  return (
    smoke ||
    sos ||
    tamper ||
    !controller ||
    ALARM_PORTALS.includes(portal) ||
    room === 'welfareCheck'
  );
}

function isInUse({ presence, room, occupancy }: StatusFacts, now: EpochMs): boolean {
  const counted =
    occupancy !== null && occupancy.value > 0 && now - occupancy.at <= OCCUPANCY_AGE_MAX_MS;
  return presence || counted || USED_ROOMS.includes(room);
}

/** First what we cannot know, then what somebody must act on, then what a worker wants to know. */
export function stationStatus(facts: StatusFacts, now: EpochMs): StationStatus {
  if (facts.lifecycle === 'planned' || facts.lifecycle === 'retired') return 'closed';
  if (facts.online === null || !facts.gateway_here) return 'unknown';
  if (!facts.online) return 'offline';
  if (facts.last_received_at === null) return 'unknown';
  if (now - facts.last_received_at > RECORD_AGE_MAX_MS) return 'unknown';
  if (isAlarm(facts)) return 'alarm';
  if (facts.lifecycle === 'suspended' || CLOSED_MODES.includes(facts.mode)) return 'closed';
  return isInUse(facts, now) ? 'inUse' : 'open';
}
