/** The last good time, kept beside the outbox: a station that starts without a network goes on from it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DurableTable } from '../outbox/durable-table.ts';
import type { Anchor } from './clock-source.ts';

const ANCHOR = 'anchor';

export interface KeptAnchor {
  boot: string;
  wall: number;
  /** Milliseconds from the boot to the moment. */
  since_boot: number;
  error_ms: number;
}

export interface Start {
  boot: string;
  wall: number;
  mono: number;
  /** Time since the boot when the process' monotonic clock stood at 0. */
  boot_mono_ms: number;
  /** The kernel took its time from a battery-backed clock when it booted. */
  rtc: boolean;
}

export function keepAnchor(table: DurableTable, kept: KeptAnchor): void {
  const { boot, wall, since_boot, error_ms } = kept;
  table.put(ANCHOR, [boot, ...[wall, since_boot, error_ms].map(Math.round)].join(' '));
}

export function keptAnchor(table: DurableTable): KeptAnchor | null {
  const [boot, ...numbers] = (table.get(ANCHOR) ?? '').split(' ');
  const [wall, since_boot, error_ms] = numbers.map(Number);
  if (boot === undefined || wall === undefined || since_boot === undefined) return null;
  return error_ms === undefined || ![wall, since_boot, error_ms].every(Number.isFinite)
    ? null
    : { boot, wall, since_boot, error_ms };
}

/**
 * Where the holdover of this start begins; null: the time is unknown until the clock is set. Within one boot the
 * monotonic clock went on. After another boot only a battery-backed clock has, and its drift is counted by what it says.
 */
export function resumeAnchor(kept: KeptAnchor | null, start: Start): Anchor | null {
  if (kept === null) return null;
  const { wall, error_ms } = kept;
  if (kept.boot === start.boot)
    return { wall, mono: kept.since_boot - start.boot_mono_ms, error_ms };
  const elapsed_ms = start.wall - wall;
  return start.rtc && elapsed_ms >= 0 ? { wall, mono: start.mono - elapsed_ms, error_ms } : null;
}

/** Whether a real-time clock set this boot's time (`hctosys`, Linux Documentation/ABI/testing/sysfs-class-rtc). */
export function bootedFromRtc(directory = '/sys/class/rtc'): boolean {
  try {
    return readdirSync(directory).some(
      (rtc) => readFileSync(join(directory, rtc, 'hctosys'), 'utf8').trim() === '1',
    );
  } catch {
    return false; // no such directory: no clock that we know of
  }
}
