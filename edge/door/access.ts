/** May the door open for this request? Pure, local, without network: the station's own word. */
import { type AccessMethod, type Denial, hasRight } from '@waystation/protocol/access';
import type { ClockQuality, DoorMode, RoomState } from '@waystation/protocol/records';
import type { StationKind } from '@waystation/protocol/station-code';
import { type EpochMs, type MonoMs, monoMs } from '@waystation/runtime/clock';
import type { CardVerdict } from '../ports.ts';
import { isOpen, type OpeningOverride, type OpeningPolicy } from './opening-policy.ts';

export interface AccessPolicy {
  kind: StationKind;
  opening: OpeningPolicy;
  limit: AttemptLimit;
}

export interface AttemptLimit {
  /** So many failures within `window_ms` bring a pause of `pause_ms`. */
  failures: number;
  window_ms: number;
  pause_ms: number;
}

export const ATTEMPT_LIMIT: AttemptLimit = { failures: 5, window_ms: 30_000, pause_ms: 30_000 };

/** A request as far as its own evidence goes; what follows judges it against the station. */
export type AccessRequest =
  | { method: 'card'; verdict: CardVerdict }
  /** An operator's command, audited in the cloud and checked by edge/command before it comes here. */
  | { method: 'remote' };

export interface AccessState {
  mode: DoorMode;
  /** null where there is no mom's room. */
  room: RoomState | null;
  /** The controller answers; without it no decision can move the lock. */
  controller_online: boolean;
  clock: ClockQuality;
  override: OpeningOverride | null;
  attempts: Attempts;
}

/** Failures of this reader, newest last; never longer than the limit. */
export interface Attempts {
  failed_at: readonly MonoMs[];
  paused_until: MonoMs;
}

export const NO_ATTEMPTS: Attempts = { failed_at: [], paused_until: monoMs(0) };

export type AccessDecision = { outcome: 'granted' } | { outcome: 'denied'; denial: Denial };

/**
 * Denials that look like guessing. The others are honest mishaps of a member (an old code, a tilted phone),
 * or the station's own state: they never lead to a pause.
 */
const GUESSES: ReadonlySet<Denial> = new Set<Denial>([
  ...(['notOurCode', 'malformed', 'unknownIssuer', 'revoked'] as const),
  ...(['badHolderSignature', 'badIssuerSignature', 'replayed', 'wrongStation'] as const),
]);

/**
 * Granted or one denial, and the attempts from now on.
 * A pause (5 failures, 30 s) hides the reasons from whoever is trying; a valid card opens all the same, since
 * a signature cannot be guessed and nobody shall be locked out by the stranger before him.
 */
export function decideAccess(
  policy: AccessPolicy,
  request: AccessRequest,
  state: AccessState,
  now: { wall: EpochMs; mono: MonoMs },
): { decision: AccessDecision; attempts: Attempts } {
  const denial = denialOf(policy, request, state, now.wall);
  if (denial === null)
    return { decision: { outcome: 'granted' }, attempts: forgiven(state.attempts, request.method) };
  if (request.method !== 'card')
    return { decision: { outcome: 'denied', denial }, attempts: state.attempts };
  if (GUESSES.has(denial) && now.mono < state.attempts.paused_until) {
    return { decision: { outcome: 'denied', denial: 'rateLimited' }, attempts: state.attempts };
  }
  const attempts = GUESSES.has(denial)
    ? counted(state.attempts, now.mono, policy.limit)
    : state.attempts;
  return { decision: { outcome: 'denied', denial }, attempts };
}

/** The first reason against, in the order in which it helps the person at the door; null when there is none. */
function denialOf(
  policy: AccessPolicy,
  request: AccessRequest,
  state: AccessState,
  wall: EpochMs,
): Denial | null {
  if (request.method === 'card') {
    const denial = cardDenial(policy, request.verdict, state, wall);
    if (denial !== null) return denial;
  } else if (state.mode === 'lockdown') return 'lockdown';
  // Whoever asks, and however privileged: nobody opens a room that is in use.
  if (state.room !== null && state.room !== 'free') return 'occupied';
  return state.controller_online ? null : 'lockFault';
}

function cardDenial(
  policy: AccessPolicy,
  verdict: CardVerdict,
  state: AccessState,
  wall: EpochMs,
): Denial | null {
  if (verdict.verdict === 'refused') return verdict.denial;
  // A signed time window means nothing to a station that does not know the time.
  if (state.clock === 'unknown') return 'clockUnknown';
  const staff = hasRight(verdict.rights, 'staff');
  switch (state.mode) {
    case 'lockdown':
      return 'lockdown';
    case 'maintenance':
      return staff ? null : 'maintenance';
    case 'freeAccess':
      return null;
    case 'normal':
      break;
    default:
      return state.mode satisfies never;
  }
  if (staff) return null;
  if (!hasRight(verdict.rights, policy.kind === 'M' ? 'momsRoom' : 'hall')) return 'noRight';
  if (isOpen(policy.opening, wall, state.override) || hasRight(verdict.rights, 'night'))
    return null;
  return 'closed';
}

function counted(attempts: Attempts, now: MonoMs, limit: AttemptLimit): Attempts {
  const recent = attempts.failed_at.filter((at) => at > now - limit.window_ms);
  const failed_at = [...recent, now];
  if (failed_at.length < limit.failures) return { failed_at, paused_until: attempts.paused_until };
  return { failed_at: [], paused_until: monoMs(now + limit.pause_ms) };
}

/** A valid card ends the suspicion; a remote opening says nothing about who stands at the reader. */
function forgiven(attempts: Attempts, method: AccessMethod): Attempts {
  return method === 'card' ? NO_ATTEMPTS : attempts;
}
