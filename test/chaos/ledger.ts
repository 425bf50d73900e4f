/** What people saw at the doors and what was ordered from afar, noted by the run itself from the hardware's side. */
import { closeSync, openSync, writeSync } from 'node:fs';

export interface Scan {
  station: string;
  card: number;
  /** Real time (ms) when the code was shown. */
  at: number;
  outcome: 'granted' | 'denied' | 'unanswered';
  denial: string | null;
  decision_ms: number | null;
}

export interface OrderGiven {
  station: string;
  id: string;
  at: number;
  deadline_at: number;
}

export interface Jump {
  station: string;
  from: number;
  to: number;
}

export interface Ledger {
  readonly scans: readonly Scan[];
  readonly orders: readonly OrderGiven[];
  readonly jumps: readonly Jump[];
  scanned(scan: Scan): void;
  ordered(order: OrderGiven): void;
  jumped(jump: Jump): void;
  /** Anything else that is worth finding in the file. */
  note(word: string, facts: object): void;
  close(): void;
}

/** One JSON object a line at `path`, and in memory: some ten entries a second for as long as a run may last. */
export function openLedger(path: string): Ledger {
  const file = openSync(path, 'a');
  const scans: Scan[] = [];
  const orders: OrderGiven[] = [];
  const jumps: Jump[] = [];
  const write = (word: string, facts: object) =>
    void writeSync(file, `${JSON.stringify({ word, ...facts })}\n`);
  return {
    scans,
    orders,
    jumps,
    scanned(scan) {
      scans.push(scan);
      write('scan', scan);
    },
    ordered(order) {
      orders.push(order);
      write('order', order);
    },
    jumped(jump) {
      jumps.push(jump);
      write('jump', jump);
    },
    note: write,
    close: () => closeSync(file),
  };
}
