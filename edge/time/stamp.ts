/** The four fields that say when a record was made. */
import type { ClockQuality } from '@waystation/protocol/records';
import type { Clock } from '@waystation/runtime/clock';
import type { Boot, ClockSource } from '../ports.ts';

/** Wall time, milliseconds since the boot, which boot, and how far the wall time can be believed. */
export interface Stamp {
  at: number;
  mono: number;
  boot: string;
  clock: ClockQuality;
}

/**
 * `boot_mono_ms`: time since the boot when the process' monotonic clock stood at 0 (see `sinceBoot` in boot.ts);
 * two processes of one boot then stamp on one axis.
 */
export function createStamp(
  clock: Clock,
  boot: Boot,
  source: ClockSource,
  boot_mono_ms: number,
): () => Stamp {
  return () => ({
    at: Math.max(0, Math.round(clock.wall())),
    mono: Math.max(0, Math.round(clock.mono() + boot_mono_ms)),
    boot: boot.id,
    clock: source.quality(),
  });
}
