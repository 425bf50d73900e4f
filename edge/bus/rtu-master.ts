/** The one owner of a Modbus RTU line: one transaction at a time, urgent ones first, and the health of every unit. */
import { monoMs, type Clock, type MonoMs, type Timer } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import type { ByteLine } from '../ports.ts';
import { requestLanes, type Job } from './request-lanes.ts';
import { countOutcome, noCounts, type RtuCounters } from './rtu-counters.ts';
import type { RtuRequest } from './rtu-frame.ts';
import {
  dueAt,
  earliestStart,
  stepTransaction,
  type LineTiming,
  type RtuOutcome,
  type Transaction,
  type TransactionEffect,
  type TransactionInput,
} from './rtu-transaction.ts';
import {
  mayPoll,
  stepHealth,
  UNKNOWN_HEALTH,
  type HealthInput,
  type UnitHealth,
} from './unit-health.ts';

/**
 * How a request ended. Beyond the transaction's own outcomes, and never sent:
 * closed: no line. expired: its time was over in the queue. full: the queue's limit. offline: a poll of a lost unit between two probes.
 */
export type MasterOutcome = RtuOutcome | { ok: false; failure: 'expired' | 'full' | 'offline' };
export type MasterFailure = Extract<MasterOutcome, { ok: false }>;

export interface RequestOptions {
  /** Goes before every poll, and to a lost unit too. */
  urgent?: boolean;
  /** Not sent later than this after the call. Default: no limit. */
  expire_ms?: number;
  /** Called when the frame has been handed to the line. */
  sent?: () => void;
}

export interface RtuMaster {
  /** Never rejects. POLL_LIMIT polls and URGENT_LIMIT urgent requests may wait; the next one is refused. */
  request(request: RtuRequest, options?: RequestOptions): Promise<MasterOutcome>;
  /** Once when a unit is lost, once when it answers (again). */
  onUnit(listener: UnitListener): void;
  isOnline(unit: number): boolean;
  counters(): Readonly<RtuCounters>;
}

export type UnitListener = (unit: number, online: boolean, reason: string) => void;

export function rtuMaster(line: ByteLine, clock: Clock, timing: LineTiming): RtuMaster {
  const units = unitBook(clock);
  const counters = noCounts();
  const transactions = transactionRunner(line, clock, timing, counters, (job, outcome) => {
    countOutcome(counters, outcome);
    if (outcome.ok) units.feel(job.request.unit, { i: 'answered' }, 'answers');
    else if (outcome.failure !== 'expired' && outcome.failure !== 'full') {
      units.feel(job.request.unit, { i: 'failed' }, describeFailure(outcome));
    }
    job.settle(outcome);
  });
  line.onUp(() => {
    units.feelAll({ i: 'lineUp' }, 'line open');
    transactions.input({ i: 'lineUp' });
  });
  line.onDown(() => {
    transactions.input({ i: 'lineDown' });
    units.feelAll({ i: 'lineDown' }, 'line closed');
  });
  line.onData((bytes) => transactions.input({ i: 'bytes', bytes }));

  return {
    async request(request, options = {}) {
      const asked_at = clock.mono();
      const urgent = options.urgent ?? false;
      const expires_at = monoMs(asked_at + (options.expire_ms ?? Number.POSITIVE_INFINITY));
      if (!urgent && !units.mayPoll(request.unit)) {
        const outcome = { ok: false, failure: 'offline' } as const;
        countOutcome(counters, outcome);
        return outcome;
      }
      units.feel(request.unit, { i: 'asked' }, '');
      return new Promise<MasterOutcome>((settle) => {
        transactions.ask({ request, urgent, asked_at, expires_at, sent: options.sent, settle });
      });
    },
    onUnit: units.onUnit,
    isOnline: units.isOnline,
    counters: () => ({ ...counters }),
  };
}

/** In an operator's words. */
export function describeFailure(failure: MasterFailure): string {
  return failure.failure === 'exception' ? `exception ${failure.code}` : failure.failure;
}

/** The health of every unit that was ever asked. */
function unitBook(clock: Clock) {
  const health = new Map<number, UnitHealth>();
  const listeners: UnitListener[] = [];
  const feel = (unit: number, input: HealthInput, reason: string) => {
    const { next, change } = stepHealth(health.get(unit) ?? UNKNOWN_HEALTH, input, clock.mono());
    health.set(unit, next);
    if (change === null) return;
    for (const listener of listeners) listener(unit, change === 'online', reason);
  };
  return {
    feel,
    feelAll(input: HealthInput, reason: string) {
      for (const unit of health.keys()) feel(unit, input, reason);
    },
    mayPoll: (unit: number) => mayPoll(health.get(unit) ?? UNKNOWN_HEALTH, clock.mono()),
    isOnline: (unit: number) => health.get(unit)?.s === 'online',
    onUnit: (listener: UnitListener) => void listeners.push(listener),
  };
}

/** Runs stepTransaction on the line: performs its effects, keeps its one timer, and gives it the next job as soon as the line is free. */
function transactionRunner(
  line: ByteLine,
  clock: Clock,
  timing: LineTiming,
  counters: RtuCounters,
  done: (job: Job<MasterOutcome>, outcome: MasterOutcome) => void,
) {
  const lanes = requestLanes<MasterOutcome>();
  let state: Transaction = line.isOpen
    ? { s: 'free', heard_at: clock.mono(), late: null }
    : { s: 'closed' };
  let current: Job<MasterOutcome> | null = null;
  let timer: Timer | null = null;

  const input = (input: TransactionInput) => {
    step(input);
    pump();
  };
  const step = (input: TransactionInput) => {
    const { next, effects } = stepTransaction(state, input, clock.mono(), timing);
    state = next;
    for (const effect of effects) perform(effect);
  };
  const perform = (effect: TransactionEffect) => {
    switch (effect.e) {
      case 'write':
        return write(effect.frame);
      case 'graced':
        counters.graced += 1;
        return;
      case 'discarded':
        counters.discarded_bytes += effect.count;
        return;
      case 'settle': {
        const job = current;
        current = null;
        if (job !== null) done(job, effect.outcome);
        return;
      }
      default:
        return effect satisfies never;
    }
  };
  const write = (frame: Uint8Array) => {
    const job = current;
    counters.requests += 1;
    try {
      line.write(frame);
    } catch (error) {
      if (!isFault(error, 'SERIAL_CLOSED')) throw error;
      return step({ i: 'refused' });
    }
    job?.sent?.();
  };
  /** Starts what may start now; whatever has to wait, waits on the one timer. */
  const pump = () => {
    let wake_at: MonoMs | null = null;
    while (state.s !== 'awaitingReply' && wake_at === null) {
      const job = lanes.peek();
      if (job === undefined) break;
      const now = clock.mono();
      const start_at =
        state.s === 'free' ? earliestStart(state, job.request, job.asked_at, timing) : now;
      if (now > job.expires_at) drop(job, 'expired');
      else if (state.s === 'closed') drop(job, 'closed');
      else if (start_at > now) wake_at = start_at;
      else start(job);
    }
    wake_at ??= dueAt(state, timing);
    timer?.stop();
    timer =
      wake_at === null
        ? null
        : clock.after(Math.max(0, wake_at - clock.mono()), () => input({ i: 'tick' }));
  };
  const drop = (job: Job<MasterOutcome>, failure: 'expired' | 'closed') => {
    lanes.shift();
    done(job, { ok: false, failure });
  };
  const start = (job: Job<MasterOutcome>) => {
    lanes.shift();
    current = job;
    step({ i: 'send', request: job.request });
  };
  return {
    input,
    ask(job: Job<MasterOutcome>) {
      if (!lanes.push(job)) done(job, { ok: false, failure: 'full' });
      else if (current === null) pump();
    },
  };
}
