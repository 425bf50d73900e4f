/** Tells old answers from new ones by the controller's uptime register, the one value that must change. */
import type { MonoMs } from '@waystation/runtime/clock';

/** The uptime advances every second: standing still for longer says that the answers are old or the controller hangs. */
export const STALE_AFTER_MS = 3000;

export type UptimeWatch = { s: 'unseen' } | { s: 'seen'; uptime_s: number; since: MonoMs };

export interface UptimeStep {
  next: UptimeWatch;
  stale: boolean;
  /** It went backwards: the controller has restarted and forgotten its settings (or wrapped after 18 hours, which costs one write). */
  restarted: boolean;
}

/** `uptime_s` is null where the controller has no such register: then nothing can be told. */
export function stepUptime(watch: UptimeWatch, uptime_s: number | null, now: MonoMs): UptimeStep {
  if (uptime_s === null) return { next: { s: 'unseen' }, stale: false, restarted: false };
  if (watch.s === 'seen' && watch.uptime_s === uptime_s) {
    return { next: watch, stale: now - watch.since >= STALE_AFTER_MS, restarted: false };
  }
  const restarted = watch.s === 'seen' && uptime_s < watch.uptime_s;
  return { next: { s: 'seen', uptime_s, since: now }, stale: false, restarted };
}
