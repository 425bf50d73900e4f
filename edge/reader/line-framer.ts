/** Bytes of a scanner into lines. Strips CR and LF only: base45 contains spaces, so a trimmed line would be another code. */
import { monoMs, type MonoMs } from '@waystation/runtime/clock';

/** Longest line kept; a longer one is dropped up to its end. */
export const LINE_LIMIT = 640;
/** A line whose next byte comes later than this is given up: the scanner was unplugged or never ends its lines. */
export const INTER_BYTE_MS = 200;

/** What the framer threw away, and what it let through. */
export interface FramerCounters {
  lines: number;
  /** Control bytes before the first byte of a line. */
  dropped_control_bytes: number;
  /** Lines longer than LINE_LIMIT. */
  overlong_lines: number;
  /** Lines given up after INTER_BYTE_MS. */
  broken_lines: number;
}

export interface LineFramer {
  /** Takes what came at `now` and returns the lines that it completed. Never throws; the lines are copies. */
  push(bytes: Uint8Array, now: MonoMs): Uint8Array[];
  /** Forgets a half line: the port is another one now. */
  reset(): void;
  counters(): Readonly<FramerCounters>;
}

const CR = 0x0d;
const LF = 0x0a;
const DEL = 0x7f;
const FIRST_PRINTABLE = 0x20;

export function lineFramer(): LineFramer {
  const held = new Uint8Array(LINE_LIMIT);
  const counters: FramerCounters = {
    lines: 0,
    dropped_control_bytes: 0,
    overlong_lines: 0,
    broken_lines: 0,
  };
  let length = 0;
  let overlong = false;
  let last_at = monoMs(0);

  const begin = () => {
    length = 0;
    overlong = false;
  };
  const give = (): Uint8Array[] => {
    const line = overlong || length === 0 ? [] : [held.slice(0, length)];
    counters.lines += line.length;
    begin();
    return line;
  };
  const keep = (byte: number) => {
    if (overlong) return;
    if (length === 0 && (byte < FIRST_PRINTABLE || byte === DEL)) {
      counters.dropped_control_bytes += 1;
    } else if (length === LINE_LIMIT) {
      overlong = true;
      counters.overlong_lines += 1;
    } else {
      held[length] = byte;
      length += 1;
    }
  };

  return {
    push(bytes, now) {
      if (length > 0 && now - last_at > INTER_BYTE_MS) {
        if (!overlong) counters.broken_lines += 1;
        begin();
      }
      last_at = now;
      const lines: Uint8Array[] = [];
      for (const byte of bytes) {
        if (byte === CR || byte === LF) lines.push(...give());
        else keep(byte);
      }
      return lines;
    },
    reset: begin,
    counters: () => ({ ...counters }),
  };
}
