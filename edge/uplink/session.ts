/**
 * The station's side of the uplink as a pure machine: window, resend, forks, reconnecting. It never sees a record.
 * This is the one retry layer of the path; below it nothing repeats anything.
 */
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import { UPLINK_RECORDS_MAX, UPLINK_WINDOW, type Ack } from '@waystation/protocol/uplink';
import type { MonoMs } from '@waystation/runtime/clock';

export interface Flight {
  /** Sequence number of the message's last record. */
  last: number;
  sent_at: MonoMs;
}

export interface LaneState {
  epoch: string;
  acked: number;
  head: number;
  /** Everything up to here was sent since the last rewind. */
  sent: number;
  /** The furthest ever sent in this session: what was not sent cannot be acknowledged, whatever the cloud says it has. */
  reached: number;
  in_flight: readonly Flight[];
  /** Messages allowed in flight: grows with every answer, shrinks when answers fail to come. */
  window: number;
  /** Records in a message: doubled with every answer, few again when answers fail to come. */
  records: number;
  /** How long an answer may take; follows the answers, so that a busy cloud is not buried in repetitions. */
  patience_ms: number;
  /** When the answer is overdue, or when a lane that was refused tries again. */
  due: MonoMs | null;
  /** Refused: nothing is sent before `due`. */
  held: boolean;
  /** A gap answer for this position was obeyed already; the ones behind it tell the same loss. */
  rewound_at: number | null;
  /** The cloud said since the last timeout that it has less than it once acknowledged. */
  regressed: boolean;
  /** Timeouts in a row with nothing but that answer. */
  strikes: number;
}

export type UplinkPhase =
  | { p: 'stopped' }
  | { p: 'waiting'; until: MonoMs }
  | { p: 'connecting' }
  | { p: 'live'; since: MonoMs };

export interface UplinkState {
  phase: UplinkPhase;
  /** Sessions in a row that failed or did not live. */
  attempts: number;
  /** The cloud answered an event of this session: it knows this epoch, so samples may follow. */
  confirmed: boolean;
  lanes: Record<Stream, LaneState>;
}

/** `jitter`: a random number in [0, 1). */
export type UplinkInput =
  | { i: 'start' }
  | { i: 'stop' }
  | { i: 'connected' }
  | { i: 'failed'; jitter: number }
  | { i: 'closed'; jitter: number }
  | { i: 'position'; stream: Stream; epoch: string; acked: number; head: number }
  /** Answers to `send`: a message went out, or the outbox had none. */
  | { i: 'sent'; stream: Stream; last: number }
  | { i: 'empty'; stream: Stream }
  | { i: 'ack'; ack: Ack }
  | { i: 'tick' };

/** After `acknowledge` the runner tells the positions again; after `send` it tells `sent` or `empty`. */
export type UplinkEffect =
  | { e: 'connect' }
  | { e: 'end' }
  | { e: 'send'; stream: Stream; after: number; records: number }
  | { e: 'acknowledge'; ack: Ack };

export interface UplinkStep {
  next: UplinkState;
  effects: UplinkEffect[];
}

export const RECONNECT_FIRST_MS = 500;
export const RECONNECT_MAX_MS = 60_000;
/** A session that lived this long was a good one: the next failure waits briefly again. */
export const SESSION_LIVED_MS = 30_000;
/**
 * An answer takes a round trip and a commit. Short, because what waits behind an outage of the cloud may be an alarm;
 * doubled while nothing answers, so that ten thousand stations do not drown a cloud that is slow.
 */
export const ACK_PATIENCE_MS = 5_000;
export const ACK_PATIENCE_MAX_MS = 20_000;
const WINDOW_FIRST = 2;
/**
 * A first message, and a probe when nothing answered, is small: behind an outage that breaks no connection it goes out
 * again and again over a mobile contract, and ten thousand stations that return together must fit into a gateway's memory.
 */
export const RECORDS_FIRST = 16;
/** So often must the cloud insist that it has less than it acknowledged, before the station takes it for another history. */
export const REGRESS_STRIKES = 3;

export function initialLane(position: { epoch: string; acked: number; head: number }): LaneState {
  return {
    ...position,
    sent: position.acked,
    reached: position.acked,
    in_flight: [],
    window: WINDOW_FIRST,
    records: RECORDS_FIRST,
    patience_ms: ACK_PATIENCE_MS,
    due: null,
    held: false,
    rewound_at: null,
    regressed: false,
    strikes: 0,
  };
}

export function initialUplink(lanes: Record<Stream, LaneState>): UplinkState {
  return { phase: { p: 'stopped' }, attempts: 0, confirmed: false, lanes };
}

/** When the machine wants its next `tick`; null: it waits for something else. */
export function wakeAt(state: UplinkState): MonoMs | null {
  if (state.phase.p === 'waiting') return state.phase.until;
  if (state.phase.p !== 'live') return null;
  const dues = STREAMS.map((stream) => state.lanes[stream].due).filter((due) => due !== null);
  return dues.length === 0 ? null : (Math.min(...dues) as MonoMs);
}

export function stepUplink(state: UplinkState, input: UplinkInput, now: MonoMs): UplinkStep {
  switch (input.i) {
    case 'start':
      return state.phase.p === 'stopped' ? connect(state) : stay(state);
    case 'stop':
      return {
        next: { ...state, phase: { p: 'stopped' } },
        effects: state.phase.p === 'live' ? [{ e: 'end' }] : [],
      };
    case 'connected':
      return state.phase.p === 'connecting' ? connected(state, now) : stay(state);
    case 'failed':
      return state.phase.p === 'connecting'
        ? wait(state, state.attempts, input.jitter, now)
        : stay(state);
    case 'closed':
      if (state.phase.p !== 'live') return stay(state);
      return wait(
        state,
        now - state.phase.since >= SESSION_LIVED_MS ? 0 : state.attempts,
        input.jitter,
        now,
      );
    case 'position':
      return sendNext(withLane(state, input.stream, moved(state.lanes[input.stream], input)));
    case 'sent':
      return sendNext(
        withLane(state, input.stream, sent(state.lanes[input.stream], input.last, now)),
      );
    case 'empty':
      return stay(
        withLane(state, input.stream, {
          ...state.lanes[input.stream],
          sent: state.lanes[input.stream].head,
        }),
      );
    case 'ack':
      return state.phase.p === 'live' ? answered(state, input.ack, now) : stay(state);
    case 'tick':
      return tick(state, now);
    default:
      return input satisfies never;
  }
}

function stay(state: UplinkState): UplinkStep {
  return { next: state, effects: [] };
}

function withLane(state: UplinkState, stream: Stream, lane: LaneState): UplinkState {
  return { ...state, lanes: { ...state.lanes, [stream]: lane } };
}

function connect(state: UplinkState): UplinkStep {
  return { next: { ...state, phase: { p: 'connecting' } }, effects: [{ e: 'connect' }] };
}

function wait(state: UplinkState, attempts: number, jitter: number, now: MonoMs): UplinkStep {
  const step_ms = Math.min(RECONNECT_FIRST_MS * 2 ** attempts, RECONNECT_MAX_MS);
  const until = Math.round(now + step_ms * (0.5 + jitter / 2)) as MonoMs;
  return {
    next: { ...state, phase: { p: 'waiting', until }, attempts: Math.min(attempts + 1, 16) },
    effects: [],
  };
}

/** A new session knows nothing of what the last one had in flight: it begins after what is acknowledged. */
function connected(state: UplinkState, now: MonoMs): UplinkStep {
  const { event, sample } = state.lanes;
  const lanes = { event: initialLane(position(event)), sample: initialLane(position(sample)) };
  return sendNext({ ...state, phase: { p: 'live', since: now }, confirmed: false, lanes });
}

function position({ epoch, acked, head }: LaneState) {
  return { epoch, acked, head };
}

function moved(lane: LaneState, to: { epoch: string; acked: number; head: number }): LaneState {
  if (to.epoch !== lane.epoch)
    return initialLane({ epoch: to.epoch, acked: to.acked, head: to.head });
  const { acked, head } = to;
  return {
    ...lane,
    acked,
    head,
    sent: Math.max(lane.sent, acked),
    reached: Math.max(lane.reached, acked),
  };
}

function sent(lane: LaneState, last: number, now: MonoMs): LaneState {
  const in_flight = [...lane.in_flight, { last, sent_at: now }];
  const reached = Math.max(lane.reached, last);
  return {
    ...lane,
    sent: last,
    reached,
    in_flight,
    due: lane.due ?? ((now + lane.patience_ms) as MonoMs),
  };
}

/**
 * Events go first, down to the last that waits: behind a day of samples an alarm would stand for minutes. Before the cloud
 * has confirmed that this event history is the one it knows, samples wait for that too.
 */
function mustWaitForEvents({ confirmed, lanes: { event } }: UplinkState): boolean {
  if (!confirmed && event.head > event.acked) return true;
  return !event.held && event.sent < event.head;
}

function sendNext(state: UplinkState): UplinkStep {
  if (state.phase.p !== 'live') return stay(state);
  const stream = STREAMS.find((stream) => {
    const lane = state.lanes[stream];
    if (stream === 'sample' && mustWaitForEvents(state)) return false;
    return !lane.held && lane.sent < lane.head && lane.in_flight.length < lane.window;
  });
  if (stream === undefined) return stay(state);
  const { sent: after, records } = state.lanes[stream];
  return { next: state, effects: [{ e: 'send', stream, after, records }] };
}

function rewind(lane: LaneState): LaneState {
  return { ...lane, sent: lane.acked, in_flight: [], due: null };
}

function patience(ms: number): number {
  return Math.max(ACK_PATIENCE_MS, Math.min(ms, ACK_PATIENCE_MAX_MS));
}

/**
 * Only what the cloud compared with its own history is acknowledged: not the position it names when it refuses a message,
 * and not what this session has not sent. Both may belong to another history (a restored disk), which shows as a fork
 * when it is sent. Whether an answer lies beyond its head only the outbox knows.
 */
function answered(state: UplinkState, whole: Ack, now: MonoMs): UplinkStep {
  const lane = state.lanes[whole.stream];
  if (whole.epoch !== lane.epoch) return stay(state);
  const foreign = whole.problem === 'fork' || whole.through > lane.head;
  const ack = foreign ? whole : { ...whole, through: Math.min(whole.through, lane.reached) };
  const confirmed = state.confirmed || (ack.stream === 'event' && !foreign);
  const next = {
    ...withLane(state, ack.stream, foreign ? lane : laneAnswered(lane, ack, now)),
    confirmed,
  };
  return foreign || ack.problem === undefined
    ? { next, effects: [{ e: 'acknowledge', ack }] }
    : sendNext(next);
}

function laneAnswered(lane: LaneState, ack: Ack, now: MonoMs): LaneState {
  switch (ack.problem) {
    case undefined:
      return ack.through > lane.acked ? advanced(lane, ack.through, now) : lane;
    case 'refused': {
      const due = (now + lane.patience_ms) as MonoMs;
      return {
        ...rewind(lane),
        held: true,
        window: 1,
        records: RECORDS_FIRST,
        patience_ms: patience(lane.patience_ms * 2),
        due,
      };
    }
    case 'gap':
      if (ack.through < lane.acked) return { ...lane, regressed: true };
      if (lane.rewound_at === ack.through || lane.sent <= ack.through) return lane;
      return {
        ...rewind(lane),
        rewound_at: ack.through,
        window: Math.max(1, Math.floor(lane.window / 2)),
      };
    case 'fork':
      return lane; // a new epoch follows
    default:
      return ack.problem satisfies never;
  }
}

function advanced(lane: LaneState, through: number, now: MonoMs): LaneState {
  const newest = lane.in_flight.findLast((flight) => flight.last <= through);
  const in_flight = lane.in_flight.filter((flight) => flight.last > through);
  const patience_ms = newest ? patience(3 * (now - newest.sent_at)) : lane.patience_ms;
  return {
    ...lane,
    acked: through,
    sent: Math.max(lane.sent, through),
    in_flight,
    window: Math.min(lane.window + 1, UPLINK_WINDOW),
    records: Math.min(lane.records * 2, UPLINK_RECORDS_MAX),
    patience_ms,
    due: in_flight.length > 0 ? ((now + patience_ms) as MonoMs) : null,
    held: false,
    rewound_at: null,
    regressed: false,
    strikes: 0,
  };
}

function tick(state: UplinkState, now: MonoMs): UplinkStep {
  if (state.phase.p === 'waiting') return now >= state.phase.until ? connect(state) : stay(state);
  if (state.phase.p !== 'live') return stay(state);
  const effects: UplinkEffect[] = [];
  let next = state;
  for (const stream of STREAMS) {
    const lane = next.lanes[stream];
    if (lane.due === null || now < lane.due) continue;
    const late = overdue(lane);
    next = withLane(next, stream, late);
    if (late.strikes < REGRESS_STRIKES) continue;
    effects.push({
      e: 'acknowledge',
      ack: { stream, epoch: lane.epoch, through: lane.acked, problem: 'fork' },
    });
  }
  return effects.length > 0 ? { next, effects } : sendNext(next);
}

/** The answer did not come: one small message as a probe, and more patience for it. */
function overdue(lane: LaneState): LaneState {
  if (lane.held) return { ...lane, held: false, due: null };
  const strikes = lane.strikes + (lane.regressed ? 1 : 0);
  return {
    ...rewind(lane),
    window: 1,
    records: RECORDS_FIRST,
    patience_ms: patience(lane.patience_ms * 2),
    rewound_at: null,
    regressed: false,
    strikes,
  };
}
