/** The kernel's own word on its clock: adjtimex(2), without privilege, 3 µs a call. */
import { load } from 'koffi';
import type { Discipline } from './clock-source.ts';

/** struct timex on 64-bit Linux: maxerror (µs) at 24, status at 40; 208 bytes in all. */
const TIMEX_BYTES = 208;
const MAX_ERROR_AT = 24;
const STATUS_AT = 40;
/** linux/timex.h: the clock is not synchronised. */
const STA_UNSYNC = 0x0040;
/** The kernel counts the error up from the last adjustment and stops here (NTP_PHASE_LIMIT). */
const MAX_ERROR_LIMIT_US = 16_000_000n;

/** What a filled struct timex says. */
export function readTimex(timex: Uint8Array): Discipline {
  const view = new DataView(timex.buffer, timex.byteOffset, timex.byteLength);
  const max_error_us = view.getBigInt64(MAX_ERROR_AT, true);
  const status = view.getInt32(STATUS_AT, true);
  const synced = (status & STA_UNSYNC) === 0 && max_error_us < MAX_ERROR_LIMIT_US;
  return { synced, max_error_ms: Number(max_error_us) / 1_000 };
}

/** A function that asks the kernel; its answer is null where there is no adjtimex (not Linux). */
export function openAdjtimex(): () => Discipline | null {
  if (process.platform !== 'linux') return () => null;
  const adjtimex = load('libc.so.6').func('int adjtimex(_Inout_ uint8_t *timex)');
  return () => {
    const timex = Buffer.alloc(TIMEX_BYTES); // modes = 0: ask, change nothing
    const state: unknown = adjtimex(timex);
    return typeof state === 'number' && state >= 0 ? readTimex(timex) : null;
  };
}
