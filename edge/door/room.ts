/**
 * A mom's room as a pure machine: one session at a time, and no word about who.
 * Anything but `free` keeps the door shut from outside, so the doubtful case is always "occupied".
 */
import type { RoomState } from '@waystation/protocol/records';
import { monoMs, type MonoMs } from '@waystation/runtime/clock';

export interface RoomSettings {
  /** A grant nobody entered on frees the room after this long. */
  entry_ms: number;
  /** After the last exit the room counts as empty when nothing moved for this long. */
  vacant_ms: number;
  /** The same when it is not certain that anybody came in: the door was opened and let go, or a sensor twitched. */
  unseen_ms: number;
  /** A session is meant to last this long. */
  session_ms: number;
  /** After this long somebody must ask whether all is well. */
  welfare_ms: number;
}

export const ROOM_DEFAULTS: RoomSettings = {
  entry_ms: 20_000,
  vacant_ms: 30_000,
  unseen_ms: 300_000,
  session_ms: 30 * 60_000,
  welfare_ms: 45 * 60_000,
};

export interface RoomContacts {
  /** The settled leaf, not the raw contact. */
  door_open: boolean;
  bolted: boolean;
  presence: boolean;
}

interface RoomSession {
  started_at: MonoMs;
  /** `asked`: begun by a grant, not by what the contacts showed. */
  asked: boolean;
  /** The door was opened for it. */
  entered: boolean;
  /** Somebody came in for certain: bolted the door, or moved after a grant was entered on. */
  certain: boolean;
  /** The door was opened again since: whoever was inside may have gone. */
  left: boolean;
  /** Since when the leaf is shut, the bolt drawn and nothing moves; null while one of them is not so. */
  still_since: MonoMs | null;
}

export interface Room {
  state: RoomState;
  contacts: RoomContacts | null;
  session: RoomSession | null;
  /** The presence sensor has worked at least once: only then does its silence mean anything. */
  presence_proven: boolean;
}

export type RoomInput =
  | { i: 'contacts'; contacts: RoomContacts }
  | { i: 'grant' }
  | { i: 'refused' }
  | { i: 'tick' };

export type RoomEffect = { e: 'record'; state: RoomState };

/** `remembered`: the state before a restart. An occupied room stays occupied until somebody is seen to leave. */
export function newRoom(remembered: RoomState, now: MonoMs): Room {
  const session = remembered === 'free' ? null : { ...newSession(now, false), certain: true };
  return { state: remembered, contacts: null, session, presence_proven: false };
}

function newSession(started_at: MonoMs, asked: boolean): RoomSession {
  return { started_at, asked, entered: !asked, certain: false, left: false, still_since: null };
}

/**
 * One step. `grant`: a request is being granted (the caller checked that the room is free).
 * `refused`: that grant did not move the lock after all.
 */
export function stepRoom(
  before: Room,
  input: RoomInput,
  now: MonoMs,
  settings: RoomSettings,
): { room: Room; effects: RoomEffect[] } {
  const room: Room = { ...before, session: before.session === null ? null : { ...before.session } };
  switch (input.i) {
    case 'contacts':
      absorbContacts(room, input.contacts, now);
      break;
    case 'grant':
      room.session ??= newSession(now, true);
      break;
    case 'refused':
      if (room.session?.entered === false) room.session = null;
      break;
    case 'tick':
      break;
    default:
      input satisfies never;
  }
  if (room.session !== null) {
    room.session.still_since = isStill(room.contacts) ? (room.session.still_since ?? now) : null;
    if (isOver(room, room.session, now, settings)) room.session = null;
  }
  room.state = nameState(room, now, settings);
  return { room, effects: room.state === before.state ? [] : [{ e: 'record', state: room.state }] };
}

function absorbContacts(room: Room, contacts: RoomContacts, now: MonoMs): void {
  const before = room.contacts;
  room.contacts = contacts;
  room.presence_proven ||= contacts.presence;
  const opens = contacts.door_open && before?.door_open !== true;
  const inside = contacts.bolted || contacts.presence;
  // Nobody asked, and yet somebody is in there: occupied, whatever the reason.
  if (room.session === null && inside && !contacts.door_open) room.session = newSession(now, false);
  const session = room.session;
  if (session === null) return;
  if (opens && session.entered) session.left = true;
  if (opens) session.entered = true;
  session.certain ||= contacts.bolted || (session.asked && session.entered && contacts.presence);
}

function isStill(contacts: RoomContacts | null): boolean {
  return contacts !== null && !contacts.door_open && !contacts.bolted && !contacts.presence;
}

function isOver(room: Room, session: RoomSession, now: MonoMs, settings: RoomSettings): boolean {
  if (session.still_since === null) return false;
  if (!session.entered) return now >= session.started_at + settings.entry_ms;
  if (session.left) return now >= session.still_since + settings.vacant_ms;
  return (
    room.presence_proven && !session.certain && now >= session.still_since + settings.unseen_ms
  );
}

function nameState(room: Room, now: MonoMs, settings: RoomSettings): RoomState {
  const session = room.session;
  if (session === null) return 'free';
  if (now >= session.started_at + settings.welfare_ms) return 'welfareCheck';
  if (now >= session.started_at + settings.session_ms) return 'overstay';
  return room.contacts?.bolted === true ? 'bolted' : 'occupied';
}

/** When the machine wants its next tick; null when only an input can move it. */
export function roomDeadline(room: Room, now: MonoMs, settings: RoomSettings): MonoMs | null {
  const session = room.session;
  if (session === null) return null;
  const dues = [session.started_at + settings.session_ms, session.started_at + settings.welfare_ms];
  if (!session.entered) dues.push(session.started_at + settings.entry_ms);
  if (session.still_since !== null) {
    dues.push(session.still_since + settings.vacant_ms, session.still_since + settings.unseen_ms);
  }
  const next = Math.min(...dues.filter((due) => due > now));
  return Number.isFinite(next) ? monoMs(next) : null;
}
