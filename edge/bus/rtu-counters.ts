/** What happened on a Modbus line since the start, as numbers an operator can reason with. */
import type { MasterOutcome } from './rtu-master.ts';

/** requests = replies + exceptions + timeouts + crc_errors + lost, but for one that is under way. */
export interface RtuCounters {
  /** Frames handed to the line. */
  requests: number;
  replies: number;
  exceptions: number;
  timeouts: number;
  /** A reply of the right shape came damaged. */
  crc_errors: number;
  /** Under way when the line went down, or refused by the line. */
  lost: number;
  /** Never sent: the line was closed. */
  closed: number;
  /** Never sent: waited longer than allowed. */
  expired: number;
  /** Never sent: the queue was full. */
  full: number;
  /** Never sent: polls of a lost unit between two probes. */
  skipped: number;
  /** Timeouts put off because our own loop had been blocked. */
  graced: number;
  /** Bytes that answered nothing: noise, echoes, late replies. */
  discarded_bytes: number;
}

const COUNTER_OF = {
  exception: 'exceptions',
  timeout: 'timeouts',
  crc: 'crc_errors',
  lost: 'lost',
  closed: 'closed',
  expired: 'expired',
  full: 'full',
  offline: 'skipped',
} as const;

export function noCounts(): RtuCounters {
  return {
    requests: 0,
    replies: 0,
    exceptions: 0,
    timeouts: 0,
    crc_errors: 0,
    lost: 0,
    closed: 0,
    expired: 0,
    full: 0,
    skipped: 0,
    graced: 0,
    discarded_bytes: 0,
  };
}

/** Every outcome counts once, under its own name. */
export function countOutcome(counters: RtuCounters, outcome: MasterOutcome): void {
  counters[outcome.ok ? 'replies' : COUNTER_OF[outcome.failure]] += 1;
}
