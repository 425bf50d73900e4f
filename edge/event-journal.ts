/**
 * The way of every event into the outbox. While the disk refuses, events wait in memory, in order and bounded,
 * so that a full disk costs a late record and not a lost one.
 */
import type { EventRecord } from '@waystation/protocol/records';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import { type Log, outageLog } from '@waystation/runtime/log';
import type { Outbox } from './ports.ts';

const HELD_MAX = 256;
const RETRY_MS = 5_000;

export interface EventJournal {
  /** Resolves when the event is durable. Rejects with Fault OUTBOX_FULL: then it is held and tried again. */
  append(record: EventRecord): Promise<void>;
  /** The same for what nobody waits for. */
  note(record: EventRecord): void;
  counters(): { held: number; lost: number };
  /** Tries the held events once more and stops trying. */
  stop(): Promise<void>;
}

export function createEventJournal(
  outbox: Pick<Outbox, 'appendEvent'>,
  clock: Clock,
  log: Log,
): EventJournal {
  const outage = outageLog(log, clock, 'journal.unavailable', 'journal.available');
  const held: EventRecord[] = [];
  let lost = 0;
  const retry: { timer: Timer | null } = { timer: null };
  let draining: Promise<void> | null = null;

  const stopRetrying = () => {
    retry.timer?.stop();
    retry.timer = null;
  };
  const hold = (record: EventRecord) => {
    held.push(record);
    if (held.length > HELD_MAX) {
      held.shift();
      lost += 1;
    }
    retry.timer ??= clock.every(RETRY_MS, () => void drain().catch(ignoreFull));
  };
  const drainAll = async () => {
    for (let first = held[0]; first !== undefined; first = held[0]) {
      await outbox.appendEvent(first);
      // While it was written, the limit may have pushed it out.
      if (held[0] === first) held.shift();
    }
    stopRetrying();
    outage.worked({ lost });
  };
  const drain = () => {
    draining ??= drainAll().finally(() => {
      draining = null;
    });
    return draining;
  };
  const append = async (record: EventRecord) => {
    if (held.length > 0) {
      hold(record);
      await drain();
      return;
    }
    try {
      await outbox.appendEvent(record);
    } catch (error) {
      if (!isFault(error, 'OUTBOX_FULL')) throw error;
      outage.failed({ problem: error.message });
      hold(record);
      throw new Fault('OUTBOX_FULL', { kind: record.kind }, error);
    }
  };
  return {
    append,
    note: (record) => void append(record).catch(ignoreFull),
    counters: () => ({ held: held.length, lost }),
    async stop() {
      if (held.length > 0) await drain().catch(ignoreFull);
      stopRetrying();
    },
  };
}

/** It is held and reported already. */
function ignoreFull(error: unknown): void {
  if (!isFault(error, 'OUTBOX_FULL')) throw error;
}
