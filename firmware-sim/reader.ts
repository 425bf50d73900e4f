/** A fixed-mount QR reader on a serial line: scanned text out with CR LF, the agent's answer in, shown and spoken. */
import type { DeviceLine } from './modbus-slave.ts';

const CR = 0x0d;
const LF = 0x0a;
/** A longer answer is not one; it is dropped up to its line end. */
const ANSWER_BYTES_MAX = 512;

/** `+granted;<sentence>` or `-<denial>;<sentence>`, UTF-8. */
export type ReaderAnswer =
  | { outcome: 'granted'; sentence: string }
  | { outcome: 'denied'; denial: string; sentence: string };

export interface QrReader {
  /** Answers that were not understood. */
  readonly unreadable: number;
  /** Sends the code as it was read, byte for byte, then CR LF. */
  scan(text: string): void;
  /** Sends bytes as they are, for noise and half lines. */
  emit(bytes: Uint8Array): void;
  onAnswer(listener: (answer: ReaderAnswer) => void): void;
}

export function parseAnswer(line: string): ReaderAnswer | null {
  const match = /^(\+granted|-[A-Za-z]+);(.*)$/u.exec(line);
  const [, head, sentence] = match ?? [];
  if (head === undefined || sentence === undefined) return null;
  return head === '+granted'
    ? { outcome: 'granted', sentence }
    : { outcome: 'denied', denial: head.slice(1), sentence };
}

export function createReader(line: DeviceLine): QrReader {
  const listeners: ((answer: ReaderAnswer) => void)[] = [];
  let pending: number[] = [];
  let unreadable = 0;

  const finish = () => {
    const text = new TextDecoder().decode(Uint8Array.from(pending));
    const overlong = pending.length > ANSWER_BYTES_MAX;
    pending = [];
    if (text === '') return;
    const answer = overlong ? null : parseAnswer(text);
    if (answer === null) unreadable += 1;
    else for (const listener of listeners) listener(answer);
  };
  line.onData((bytes) => {
    for (const byte of bytes) {
      if (byte === CR || byte === LF) finish();
      else if (pending.length <= ANSWER_BYTES_MAX) pending.push(byte);
    }
  });

  return {
    get unreadable() {
      return unreadable;
    },
    scan: (text) => line.write(Buffer.from(`${text}\r\n`, 'latin1')),
    emit: (bytes) => line.write(bytes),
    onAnswer: (listener) => {
      listeners.push(listener);
    },
  };
}
