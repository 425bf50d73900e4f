/** Which boot this is, and how long ago it was. */
import { readFileSync } from 'node:fs';
import type { Boot } from '../ports.ts';

/** First 8 hex digits of the kernel's boot id (random(4)); where there is none, a random id for this start. */
export function readBoot(random: () => number, path = '/proc/sys/kernel/random/boot_id'): Boot {
  try {
    const id = readFileSync(path, 'utf8').slice(0, 8).toLowerCase();
    if (/^[0-9a-f]{8}$/.test(id)) return { id };
  } catch {
    // no such file: not Linux, or a sandbox without /proc
  }
  return {
    id: Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  };
}

/**
 * Milliseconds from the boot to the zero of `mono`: CLOCK_MONOTONIC counts from the boot and is one axis for every
 * process of it, a process' own monotonic clock is not. A station's box never suspends, so the clock misses nothing.
 */
export function sinceBoot(
  mono_now_ms: number,
  monotonic_ns: bigint = process.hrtime.bigint(),
): number {
  return Number(monotonic_ns / 1_000_000n) - mono_now_ms;
}
