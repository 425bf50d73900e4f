/** What waits for the line: a lane for polls and one for urgent requests, both bounded, nothing sent past its time. */
import type { MonoMs } from '@waystation/runtime/clock';
import type { RtuRequest } from './rtu-frame.ts';

export interface Job<Outcome> {
  request: RtuRequest;
  urgent: boolean;
  asked_at: MonoMs;
  expires_at: MonoMs;
  sent: (() => void) | undefined;
  settle: (outcome: Outcome) => void;
}

export const POLL_LIMIT = 16;
export const URGENT_LIMIT = 4;

export interface RequestLanes<Outcome> {
  /** false when the job's lane is full: the newest is refused, since older ones are already late. */
  push(job: Job<Outcome>): boolean;
  /** The job whose turn it is: urgent ones first, each lane in order. */
  peek(): Job<Outcome> | undefined;
  shift(): void;
}

export function requestLanes<Outcome>(): RequestLanes<Outcome> {
  const urgent: Job<Outcome>[] = [];
  const polls: Job<Outcome>[] = [];
  const first = () => (urgent.length > 0 ? urgent : polls);
  return {
    push(job) {
      const lane = job.urgent ? urgent : polls;
      if (lane.length >= (job.urgent ? URGENT_LIMIT : POLL_LIMIT)) return false;
      lane.push(job);
      return true;
    },
    peek: () => first()[0],
    shift: () => void first().shift(),
  };
}
