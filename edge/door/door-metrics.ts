/** What the door counts for /metrics and the benchmarks. */
import type { Denial } from '@waystation/protocol/access';
import { createHistogram, type Histogram } from '../histogram.ts';

export interface DoorMetrics {
  /** Last byte of the scan to the coil frame on the line, the event durable in between. */
  scan_to_coil_ms: Histogram;
  /** Last byte of the scan to the answer at the reader, the coil read back. */
  answer_ms: Histogram;
  /** By outcome; at most as many keys as there are denials. */
  answers: Map<'granted' | Denial, number>;
  scans_dropped: number;
  lock_failures: number;
  /** Decisions that could not be made durable before they took effect. */
  undurable_decisions: number;
}

export function createDoorMetrics(): DoorMetrics {
  return {
    scan_to_coil_ms: createHistogram(),
    answer_ms: createHistogram(),
    answers: new Map(),
    scans_dropped: 0,
    lock_failures: 0,
    undurable_decisions: 0,
  };
}
