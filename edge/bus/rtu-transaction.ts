/** One request and its reply on a shared line, as a pure machine: who may speak when, and what a silence or a damaged frame means. */
import assert from 'node:assert/strict';
import { monoMs, type MonoMs } from '@waystation/runtime/clock';
import {
  afterEcho,
  encodeRequest,
  findReply,
  type RtuRequest,
  type RtuValues,
} from './rtu-frame.ts';

export interface LineTiming {
  /** Silence between frames, see silentGapMs. */
  gap_ms: number;
  reply_timeout_ms: number;
  /** After a failure no request is sent for so long that the late reply of the failed one could be taken to answer. */
  late_window_ms: number;
  /** A damaged reply fails its request after so much silence, not only at the timeout. Longer than an adapter's buffering (16 ms). */
  crc_silence_ms: number;
  /** On a line that never falls silent (a babbling device) a request waits no longer than this. */
  silence_limit_ms: number;
  /** A timer that fires later than this says that our own loop was blocked, not that the device was silent… */
  blocked_ms: number;
  /** …and gives the bytes that wait in the kernel so much time to be read. */
  grace_ms: number;
  /** The adapter hears its own transmission. */
  local_echo: boolean;
}

export const LINE_TIMING = {
  reply_timeout_ms: 100,
  late_window_ms: 50,
  crc_silence_ms: 20,
  silence_limit_ms: 50,
  blocked_ms: 15,
  grace_ms: 10,
  local_echo: false,
} as const satisfies Omit<LineTiming, 'gap_ms'>;

export type RtuOutcome =
  | { ok: true; values: RtuValues }
  | { ok: false; failure: 'exception'; code: number }
  | { ok: false; failure: 'timeout' | 'crc' | 'closed' | 'lost' };

export type Transaction =
  | { s: 'closed' }
  | { s: 'free'; heard_at: MonoMs; late: { request: RtuRequest; until: MonoMs } | null }
  | {
      s: 'awaitingReply';
      request: RtuRequest;
      frame: Uint8Array;
      deadline: MonoMs;
      received: Uint8Array;
      heard_at: MonoMs;
      bad_crc: boolean;
      graced: boolean;
    };

export type TransactionInput =
  | { i: 'lineUp' }
  | { i: 'lineDown' }
  | { i: 'send'; request: RtuRequest }
  /** The line did not take the frame. */
  | { i: 'refused' }
  | { i: 'bytes'; bytes: Uint8Array }
  | { i: 'tick' };

export type TransactionEffect =
  | { e: 'write'; frame: Uint8Array }
  | { e: 'settle'; outcome: RtuOutcome }
  | { e: 'graced' }
  /** Bytes that answer nothing: noise, echoes, late replies, other units. */
  | { e: 'discarded'; count: number };

/** A whole frame and as much noise before it; more is a babbling device, whose oldest bytes go first. */
const RECEIVED_LIMIT = 512;

export interface TransactionStep {
  next: Transaction;
  effects: TransactionEffect[];
}

/** `send` is allowed in `free` and `closed` only; see earliestStart for when. `settle` is always the last effect. */
export function stepTransaction(
  state: Transaction,
  input: TransactionInput,
  now: MonoMs,
  timing: LineTiming,
): TransactionStep {
  switch (input.i) {
    case 'lineUp':
      return to(state.s === 'closed' ? { s: 'free', heard_at: now, late: null } : state);
    case 'lineDown':
      return to({ s: 'closed' }, ...(state.s === 'awaitingReply' ? [fail('lost')] : []));
    case 'send':
      return send(state, input.request, now, timing);
    case 'refused':
      if (state.s !== 'awaitingReply') return to(state);
      return to({ s: 'free', heard_at: state.heard_at, late: null }, fail('lost'));
    case 'bytes':
      return hear(state, input.bytes, now, timing);
    case 'tick':
      return tick(state, now, timing);
    default:
      return input satisfies never;
  }
}

function send(
  state: Transaction,
  request: RtuRequest,
  now: MonoMs,
  timing: LineTiming,
): TransactionStep {
  assert(state.s !== 'awaitingReply', 'one request at a time');
  if (state.s === 'closed') return to(state, fail('closed'));
  const frame = encodeRequest(request);
  const deadline = monoMs(now + timing.reply_timeout_ms);
  const received = new Uint8Array(0);
  const next = {
    s: 'awaitingReply',
    request,
    frame,
    deadline,
    received,
    heard_at: now,
    bad_crc: false,
    graced: false,
  } as const;
  return to(next, { e: 'write', frame });
}

function hear(
  state: Transaction,
  bytes: Uint8Array,
  now: MonoMs,
  timing: LineTiming,
): TransactionStep {
  if (state.s === 'closed') return to(state, { e: 'discarded', count: bytes.length });
  if (state.s === 'free')
    return to({ ...state, heard_at: now }, { e: 'discarded', count: bytes.length });
  const all = concat(state.received, bytes);
  const excess = Math.max(0, all.length - RECEIVED_LIMIT);
  const received = all.subarray(excess);
  const dropped: TransactionEffect[] = excess > 0 ? [{ e: 'discarded', count: excess }] : [];
  const heard = timing.local_echo ? afterEcho(state.frame, received) : received;
  const finding = heard && findReply(state.request, state.frame, heard);
  if (!finding) return to({ ...state, received, heard_at: now }, ...dropped);
  if (finding.found === 'nothing') {
    return to({ ...state, received, heard_at: now, bad_crc: finding.bad_crc }, ...dropped);
  }
  const noise = received.length - finding.length;
  if (noise > 0) dropped.push({ e: 'discarded', count: noise });
  const outcome: RtuOutcome =
    finding.found === 'reply'
      ? { ok: true, values: finding.values }
      : { ok: false, failure: 'exception', code: finding.code };
  return to({ s: 'free', heard_at: now, late: null }, ...dropped, { e: 'settle', outcome });
}

function tick(state: Transaction, now: MonoMs, timing: LineTiming): TransactionStep {
  const due = dueAt(state, timing);
  if (state.s !== 'awaitingReply' || due === null || now < due) return to(state);
  if (now - due > timing.blocked_ms && !state.graced) {
    const deadline = monoMs(now + timing.grace_ms);
    return to({ ...state, deadline, heard_at: now, graced: true }, { e: 'graced' });
  }
  const late = { request: state.request, until: monoMs(now + timing.late_window_ms) };
  const dropped: TransactionEffect[] =
    state.received.length > 0 ? [{ e: 'discarded', count: state.received.length }] : [];
  return to(
    { s: 'free', heard_at: state.heard_at, late },
    ...dropped,
    fail(state.bad_crc ? 'crc' : 'timeout'),
  );
}

/** When the machine wants its next tick; null: it waits for nothing. */
export function dueAt(state: Transaction, timing: LineTiming): MonoMs | null {
  if (state.s !== 'awaitingReply') return null;
  return state.bad_crc
    ? monoMs(Math.min(state.deadline, state.heard_at + timing.crc_silence_ms))
    : state.deadline;
}

/** When `request`, asked for at `asked_at`, may be sent on a free line. Only a request that a late reply could answer waits for it. */
export function earliestStart(
  state: Extract<Transaction, { s: 'free' }>,
  request: RtuRequest,
  asked_at: MonoMs,
  timing: LineTiming,
): MonoMs {
  const silent = Math.min(state.heard_at + timing.gap_ms, asked_at + timing.silence_limit_ms);
  const { late } = state;
  const confusable =
    late !== null && late.request.unit === request.unit && late.request.fc === request.fc;
  return monoMs(confusable ? Math.max(silent, late.until) : silent);
}

function to(next: Transaction, ...effects: TransactionEffect[]): TransactionStep {
  return { next, effects };
}

function fail(failure: 'timeout' | 'crc' | 'closed' | 'lost'): TransactionEffect {
  return { e: 'settle', outcome: { ok: false, failure } };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
