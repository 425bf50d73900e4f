/** The QR reader on its serial line: each code once, the decision back to its display. */
import type { Clock, MonoMs, Timer } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { ByteLine, Reader } from '../ports.ts';
import { lineFramer, type FramerCounters } from './line-framer.ts';

export interface SerialReaderOptions {
  line: ByteLine;
  clock: Clock;
  log: Log;
}

/** A phone held still is read again and again: the same line within this time of its last reading is the same reading. */
export const SAME_LINE_MS = 3000;
/** A reader that has not been there this long after the start is reported as lost. */
const FIRST_OPEN_MS = 3000;
/** What scan engines send when they saw nothing. */
const NO_READ = '%%NoRead';

export interface ReaderCounters extends FramerCounters {
  repeated_lines: number;
  empty_readings: number;
  /** Answers that the line did not take. */
  dropped_answers: number;
}

/** Owns `line`, and closes it in `stop()`. */
export function serialReader(
  options: SerialReaderOptions,
): Reader & { counters(): Readonly<ReaderCounters> } {
  const { line, clock } = options;
  const framer = lineFramer();
  const on_line: ((line: Uint8Array, at: MonoMs) => void)[] = [];
  const presence = readerPresence(options);
  const counts = { repeated_lines: 0, empty_readings: 0, dropped_answers: 0 };
  let last: { text: string; at: MonoMs } | null = null;
  let started = false;

  const read = (bytes: Uint8Array, at: MonoMs) => {
    const text = Buffer.from(bytes).toString('latin1');
    if (text === NO_READ) {
      counts.empty_readings += 1;
      return;
    }
    const repeated = last !== null && last.text === text && at - last.at < SAME_LINE_MS;
    last = { text, at };
    if (repeated) counts.repeated_lines += 1;
    else for (const listener of on_line) listener(bytes, at);
  };
  line.onData((bytes) => {
    if (!started) return;
    const at = clock.mono();
    for (const complete of framer.push(bytes, at)) read(complete, at);
  });
  line.onDown(() => framer.reset());

  return {
    start() {
      started = true;
      presence.start();
    },
    async stop() {
      started = false;
      presence.stop();
      await line.close();
    },
    onLine: (listener) => void on_line.push(listener),
    onOnline: presence.onOnline,
    answer(decision, sentence) {
      const code = decision.outcome === 'granted' ? '+granted' : `-${decision.denial}`;
      try {
        line.write(Buffer.from(`${code};${sentence.zh}\r\n`, 'utf8'));
      } catch (error) {
        if (!isFault(error)) throw error;
        counts.dropped_answers += 1;
      }
    },
    counters: () => ({ ...framer.counters(), ...counts }),
  };
}

/** Online while its line is open; a scanner that only speaks when it sees a code cannot be asked. Tells every change once. */
function readerPresence({ line, clock, log }: SerialReaderOptions) {
  const listeners: ((online: boolean, reason: string) => void)[] = [];
  let waiting: Timer | null = null;
  let started = false;
  const tell = (online: boolean, reason: string) => {
    if (!started) return;
    waiting?.stop();
    log(online ? 'info' : 'warn', online ? 'device.online' : 'device.lost', {
      device: 'reader',
      reason,
    });
    for (const listener of listeners) listener(online, reason);
  };
  line.onUp(() => tell(true, 'line open'));
  line.onDown(() => tell(false, 'line closed'));
  return {
    onOnline: (listener: (online: boolean, reason: string) => void) =>
      void listeners.push(listener),
    start() {
      started = true;
      if (line.isOpen) tell(true, 'line open');
      else waiting = clock.after(FIRST_OPEN_MS, () => tell(false, 'not found'));
    },
    stop() {
      started = false;
      waiting?.stop();
    },
  };
}
