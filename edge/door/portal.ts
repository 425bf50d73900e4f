/**
 * The door as a pure machine: facts in, state and effects out.
 *
 * It is level-driven: every input changes facts, then one rule says how the lock has to stand and one rule names the
 * state. So no order of events can leave the lock shut against the exit button or smoke (see `wantsRelease`).
 * An opening is forced when nothing permitted it at the moment the contact moved, not when it had settled.
 */
import type { DoorMode, PortalState } from '@waystation/protocol/records';
import { monoMs, type MonoMs } from '@waystation/runtime/clock';
import type { PortalSettings } from './portal-settings.ts';

/** The contacts that matter to the door, as one poll of the controller saw them together. */
export interface Contacts {
  door_open: boolean;
  lock_engaged: boolean;
  egress_pressed: boolean;
  smoke: boolean;
  mains_present: boolean;
}

export type LockCommand = 'release' | 'engage';
export type LockFault = 'lockStuckEngaged' | 'lockStuckReleased' | 'lockNoAnswer';

export interface Portal {
  state: PortalState;
  mode: DoorMode;
  /** null before the first poll and while the field bus is lost. */
  contacts: Contacts | null;
  /** The contact as settled. */
  door_open: boolean;
  /** Since when the raw contact differs from the settled one, and whether that movement was permitted. */
  moving: { since: MonoMs; permitted: boolean } | null;
  /** The settled opening: when, and by force or not. Meaningful while `door_open`. */
  opened_at: MonoMs;
  forced: boolean;
  release_until: MonoMs;
  egress_until: MonoMs;
  /** The lock was released or the leaf open up to here; until the bolt was seen to catch it may still be catching. */
  free_at: MonoMs;
  caught: boolean;
  commanded: LockCommand;
  repeat_at: MonoMs | null;
  mismatch_since: MonoMs | null;
  lock_fault: LockFault | null;
  sounding: boolean;
}

export type PortalInput =
  | { i: 'contacts'; contacts: Contacts }
  | { i: 'busLost' }
  | { i: 'grant' }
  | { i: 'mode'; mode: DoorMode }
  | { i: 'commandDone'; command: LockCommand }
  | { i: 'commandFailed'; command: LockCommand }
  | { i: 'tick' };

/** Why the state changed, in the order of a door's day. */
export type PortalCause =
  | 'grant'
  | 'egress'
  | 'smoke'
  | 'freeAccess'
  | 'opened'
  | 'allowed'
  | 'foundOpen'
  | 'forced'
  | 'heldOpen'
  | 'closed'
  | 'relocked'
  | 'found'
  | 'repaired'
  | 'busLost'
  | 'lockStuckEngaged'
  | 'lockStuckReleased'
  | 'lockNoAnswer';

export type PortalEffect =
  | { e: 'release' }
  | { e: 'engage' }
  | { e: 'record'; from: PortalState; to: PortalState; cause: PortalCause }
  | { e: 'sounder'; on: boolean };

export interface PortalStep {
  portal: Portal;
  effects: PortalEffect[];
}

const NEVER = monoMs(Number.NEGATIVE_INFINITY);
const after = (at: MonoMs, delay_ms: number): MonoMs => monoMs(at + delay_ms);

/** Before anything was heard: the lock is told to engage at the first poll. */
export function newPortal(mode: DoorMode): Portal {
  return {
    state: 'fault',
    mode,
    contacts: null,
    door_open: false,
    moving: null,
    opened_at: NEVER,
    forced: false,
    release_until: NEVER,
    egress_until: NEVER,
    free_at: NEVER,
    caught: false,
    commanded: 'engage',
    repeat_at: null,
    mismatch_since: null,
    lock_fault: null,
    sounding: false,
  };
}

/** Must the lock stand released now? Life safety first; no mode and no room state takes it back. */
export function wantsRelease(portal: Portal, now: MonoMs): boolean {
  return leavingFreely(portal, now) || portal.mode === 'freeAccess' || now < portal.release_until;
}

function leavingFreely(portal: Portal, now: MonoMs): boolean {
  const contacts = portal.contacts;
  return contacts?.smoke === true || contacts?.egress_pressed === true || now < portal.egress_until;
}

/** A lock without power stands open by design (fail-safe): neither a fault nor a forced door. */
function failedOpen(contacts: Contacts): boolean {
  return !contacts.mains_present && !contacts.lock_engaged;
}

/** May the leaf move now without it being force? */
function permits(portal: Portal, now: MonoMs, settings: PortalSettings): boolean {
  const contacts = portal.contacts;
  if (contacts === null || wantsRelease(portal, now) || failedOpen(contacts)) return true;
  const catching_ms = portal.caught ? settings.relatch_ms : settings.lock_fault_ms;
  return now < portal.free_at + catching_ms;
}

/**
 * One step. `now` never falls. Effects are in the order they are to be performed.
 * While the bus is lost the state is `fault` and the machine still keeps its deadlines.
 */
export function stepPortal(
  before: Portal,
  input: PortalInput,
  now: MonoMs,
  settings: PortalSettings,
): PortalStep {
  const portal = { ...before };
  const repeat = absorb(portal, input, now, settings);
  moveContact(portal, now, settings);
  // Patience begins when somebody has to close the door.
  if (portal.door_open && !portal.forced && !watchesHeld(portal)) portal.opened_at = now;
  const effects = commandLock(portal, before, repeat, now, settings);
  judgeLock(portal, now, settings);
  portal.state = nameState(portal, now, settings);
  if (portal.state !== before.state) {
    effects.push({
      e: 'record',
      from: before.state,
      to: portal.state,
      cause: causeOf(portal, before, now),
    });
  }
  portal.sounding = soundsAt(portal, now, settings);
  if (portal.sounding !== before.sounding) effects.push({ e: 'sounder', on: portal.sounding });
  return { portal, effects };
}

/** Takes the input into the facts. Returns whether the lock command has to be said again though it is the same. */
function absorb(
  portal: Portal,
  input: PortalInput,
  now: MonoMs,
  settings: PortalSettings,
): boolean {
  switch (input.i) {
    case 'contacts':
      return absorbContacts(portal, input.contacts, now, settings);
    case 'busLost':
      portal.contacts = null;
      // Nobody sees who uses it now: a grant does not wait in the dark for the controller to come back.
      portal.release_until = NEVER;
      portal.moving = null;
      portal.mismatch_since = null;
      return false;
    case 'grant':
      // A locked-down door takes no grant, whoever decided it.
      if (portal.mode === 'lockdown' || portal.contacts === null) return false;
      portal.release_until = after(now, settings.release_ms);
      if (portal.state === 'open') portal.opened_at = now;
      return true;
    case 'mode':
      portal.mode = input.mode;
      if (input.mode === 'lockdown') portal.release_until = NEVER;
      return input.mode === 'freeAccess';
    case 'commandDone':
      if (input.command === portal.commanded && portal.lock_fault === 'lockNoAnswer')
        portal.lock_fault = null;
      return false;
    case 'commandFailed':
      if (input.command !== portal.commanded) return false;
      // The grant is over: whoever asked is told so, and the door must not open behind his back later.
      portal.release_until = NEVER;
      portal.lock_fault = 'lockNoAnswer';
      portal.repeat_at = after(now, settings.command_retry_ms);
      return false;
    case 'tick':
      return portal.repeat_at !== null && now >= portal.repeat_at;
    default:
      return input satisfies never;
  }
}

function absorbContacts(
  portal: Portal,
  contacts: Contacts,
  now: MonoMs,
  settings: PortalSettings,
): boolean {
  const before = portal.contacts;
  portal.contacts = contacts;
  if (contacts.egress_pressed) portal.egress_until = after(now, settings.egress_ms);
  if (before === null) {
    // What happened in the dark is not known: a door found open is open, neither forced nor excused.
    if (contacts.door_open && !portal.door_open) {
      portal.opened_at = now;
      portal.forced = false;
    }
    if (!contacts.door_open) portal.forced = false;
    portal.door_open = contacts.door_open;
    freeAt(portal, now);
    return true;
  }
  if (contacts.door_open === portal.door_open) portal.moving = null;
  else if (portal.moving === null)
    portal.moving = { since: now, permitted: permits(portal, now, settings) };
  else if (leavingFreely(portal, now))
    portal.moving = { since: portal.moving.since, permitted: true };
  return (contacts.egress_pressed && !before.egress_pressed) || (contacts.smoke && !before.smoke);
}

/** Lets the contact settle. One opening uses up the grant: the lock engages behind it, so that nobody tails in. */
function moveContact(portal: Portal, now: MonoMs, settings: PortalSettings): void {
  const moving = portal.moving;
  if (moving === null || now < moving.since + settings.contact_debounce_ms) return;
  portal.moving = null;
  portal.door_open = !portal.door_open;
  if (portal.door_open) {
    portal.opened_at = moving.since;
    portal.forced = !moving.permitted;
    const granted_at = portal.release_until - settings.release_ms;
    if (granted_at <= moving.since) portal.release_until = NEVER;
  } else {
    portal.forced = false;
    freeAt(portal, now);
  }
}

function commandLock(
  portal: Portal,
  before: Portal,
  repeat: boolean,
  now: MonoMs,
  settings: PortalSettings,
): PortalEffect[] {
  portal.commanded = wantsRelease(portal, now) ? 'release' : 'engage';
  if (portal.commanded === 'release') freeAt(portal, now);
  const changed = portal.commanded !== before.commanded;
  if (changed) portal.mismatch_since = null;
  if (portal.contacts === null || !(changed || repeat)) return [];
  // The controller drops a release by itself after release_ms: what may last longer is said again in time.
  const lasts =
    portal.commanded === 'release' && (leavingFreely(portal, now) || portal.mode === 'freeAccess');
  portal.repeat_at = lasts ? after(now, settings.release_ms / 2) : null;
  return [{ e: portal.commanded }];
}

function freeAt(portal: Portal, now: MonoMs): void {
  portal.free_at = now;
  portal.caught = false;
}

/** Commanded against sensed. Judged with the leaf shut only: a bolt may wait for the door. */
function judgeLock(portal: Portal, now: MonoMs, settings: PortalSettings): void {
  const contacts = portal.contacts;
  if (contacts === null) return;
  portal.caught ||= portal.commanded === 'engage' && contacts.lock_engaged && !contacts.door_open;
  if (portal.lock_fault === 'lockStuckEngaged' && !contacts.lock_engaged) portal.lock_fault = null;
  if (portal.lock_fault === 'lockStuckReleased' && contacts.lock_engaged) portal.lock_fault = null;
  const as_commanded =
    contacts.lock_engaged === (portal.commanded === 'engage') || failedOpen(contacts);
  if (as_commanded || portal.door_open || contacts.door_open) {
    portal.mismatch_since = null;
    return;
  }
  portal.mismatch_since ??= now;
  if (now >= portal.mismatch_since + settings.lock_fault_ms) {
    portal.lock_fault = contacts.lock_engaged ? 'lockStuckEngaged' : 'lockStuckReleased';
  }
}

function nameState(portal: Portal, now: MonoMs, settings: PortalSettings): PortalState {
  if (portal.contacts === null) return 'fault';
  if (portal.door_open) {
    if (portal.forced) return 'forcedOpen';
    return watchesHeld(portal) && now >= portal.opened_at + settings.held_open_ms
      ? 'heldOpen'
      : 'open';
  }
  if (portal.lock_fault !== null) return 'fault';
  return portal.commanded === 'release' ? 'released' : 'secured';
}

/** Nobody is nagged for a door held while it is meant to stand open or the crew works. */
function watchesHeld(portal: Portal): boolean {
  return (
    (portal.mode === 'normal' || portal.mode === 'lockdown') && portal.contacts?.smoke !== true
  );
}

function soundsAt(portal: Portal, now: MonoMs, settings: PortalSettings): boolean {
  if (portal.contacts === null || !portal.door_open) return false;
  const open_ms = now - portal.opened_at;
  if (portal.forced) return open_ms < settings.sounder_ms;
  const { held_open_ms, pre_alarm_ms, sounder_ms } = settings;
  return (
    watchesHeld(portal) &&
    open_ms >= held_open_ms - pre_alarm_ms &&
    open_ms < held_open_ms + sounder_ms
  );
}

function causeOf(portal: Portal, before: Portal, now: MonoMs): PortalCause {
  switch (portal.state) {
    case 'fault':
      return portal.contacts === null ? 'busLost' : (portal.lock_fault ?? 'busLost');
    case 'open':
      if (before.state === 'heldOpen') return 'allowed';
      return before.contacts === null ? 'foundOpen' : 'opened';
    case 'heldOpen':
      return 'heldOpen';
    case 'forcedOpen':
      return 'forced';
    case 'released':
      return releaseCause(portal, now);
    case 'secured':
      if (before.contacts === null) return 'found';
      if (before.door_open) return 'closed';
      return before.state === 'fault' ? 'repaired' : 'relocked';
    default:
      return portal.state satisfies never;
  }
}

function releaseCause(portal: Portal, now: MonoMs): PortalCause {
  if (portal.contacts?.smoke === true) return 'smoke';
  if (leavingFreely(portal, now)) return 'egress';
  return portal.mode === 'freeAccess' ? 'freeAccess' : 'grant';
}

/** When the machine wants its next tick; null when only an input can move it. */
export function portalDeadline(
  portal: Portal,
  now: MonoMs,
  settings: PortalSettings,
): MonoMs | null {
  const dues: number[] = [portal.release_until, portal.egress_until];
  if (portal.moving !== null) dues.push(portal.moving.since + settings.contact_debounce_ms);
  if (portal.repeat_at !== null && portal.contacts !== null) dues.push(portal.repeat_at);
  if (portal.mismatch_since !== null) dues.push(portal.mismatch_since + settings.lock_fault_ms);
  if (portal.door_open) {
    const { held_open_ms, pre_alarm_ms, sounder_ms } = settings;
    const held_at = portal.opened_at + held_open_ms;
    dues.push(held_at - pre_alarm_ms, held_at, held_at + sounder_ms, portal.opened_at + sounder_ms);
  }
  const next = Math.min(...dues.filter((due) => due > now));
  return Number.isFinite(next) ? monoMs(next) : null;
}
