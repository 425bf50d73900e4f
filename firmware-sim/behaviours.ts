/** What a device on the line may do to one exchange, faults included. Tests, people and the fleet use the same list. */
import { EXCEPTION, withCrc } from './modbus-slave.ts';

export interface Exchange {
  readonly request: Uint8Array;
  /** Does what was asked and returns the right reply. Call it at most once. */
  honest(): Uint8Array;
  /** Puts bytes on the line, `extra_ms` later than a healthy device would. */
  send(bytes: Uint8Array, extra_ms?: number): void;
}

/** Returns true when it took the exchange over. */
export type LineBehaviour = (exchange: Exchange) => boolean;

/** Longer than the reply timeout of any master on this line. */
const LATE_MS = 250;
const SLOW_MS = 60;
const JUNK = Uint8Array.of(0x00, 0xff, 0x55, 0xaa, 0x13);

const handled = (act: (exchange: Exchange) => void): LineBehaviour => {
  return (exchange) => {
    act(exchange);
    return true;
  };
};

function flipLastBit(bytes: Uint8Array): Uint8Array {
  return bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
}

/** A reply under another unit's address, its CRC in order. */
function fromOtherUnit(bytes: Uint8Array): Uint8Array {
  return withCrc([((bytes[0] ?? 0) % 247) + 1, ...bytes.subarray(1, -2)]);
}

function exceptionReply(request: Uint8Array, code: number): Uint8Array {
  return withCrc([request[0] ?? 0, (request[1] ?? 0) | 0x80, code]);
}

/** Each is one exchange gone wrong. */
export const LINE_FAULTS = {
  /** The device does not hear the request: nothing is done, nothing answered. */
  silence: { about: 'no answer, nothing done', behave: handled(() => {}) },
  /** The reply is lost on its way, what was asked is done. */
  deaf: { about: 'done, but the answer is lost', behave: handled((x) => void x.honest()) },
  crc: {
    about: 'a bit of the answer flips',
    behave: handled((x) => x.send(flipLastBit(x.honest()))),
  },
  garbage: {
    about: 'noise before and after the answer',
    behave: handled((x) => x.send(Uint8Array.of(...JUNK, ...x.honest(), ...JUNK))),
  },
  noise: { about: 'noise instead of an answer', behave: handled((x) => x.send(JUNK)) },
  truncated: { about: 'half an answer', behave: handled((x) => x.send(x.honest().slice(0, 3))) },
  late: {
    about: `the answer comes ${LATE_MS} ms late`,
    behave: handled((x) => x.send(x.honest(), LATE_MS)),
  },
  slow: {
    about: `the answer comes in two pieces, ${SLOW_MS} ms apart`,
    behave: handled((x) => {
      const reply = x.honest();
      x.send(reply.slice(0, 3));
      x.send(reply.slice(3), SLOW_MS);
    }),
  },
  busy: {
    about: 'exception 6, busy',
    behave: handled((x) => x.send(exceptionReply(x.request, EXCEPTION.busy))),
  },
  failure: {
    about: 'exception 4, device failure',
    behave: handled((x) => x.send(exceptionReply(x.request, EXCEPTION.deviceFailure))),
  },
  wrongUnit: {
    about: 'another unit address answers',
    behave: handled((x) => x.send(fromOtherUnit(x.honest()))),
  },
  /** RS-485 without echo suppression: the master hears itself, then the answer. */
  echo: {
    about: 'the request comes back before the answer',
    behave: handled((x) => {
      x.send(x.request);
      x.send(x.honest());
    }),
  },
  /** The danger of an echo: a write looks confirmed though nobody is there. */
  echoOnly: {
    about: 'the request comes back, the device is dead',
    behave: handled((x) => x.send(x.request)),
  },
} as const satisfies Record<string, { about: string; behave: LineBehaviour }>;
export type LineFault = keyof typeof LINE_FAULTS;
export const LINE_FAULT_NAMES = Object.keys(LINE_FAULTS) as LineFault[];

/** Faults that wait for their turn: each is used up by so many exchanges, one after the other. */
export interface FaultQueue {
  readonly behaviour: LineBehaviour;
  /** Exchanges that will still go wrong. */
  readonly waiting: number;
  add(fault: LineFault, count: number): void;
  clear(): void;
}

/** `unit`: only exchanges of this unit address are hit; absent: all. */
export function faultQueue(unit?: number): FaultQueue {
  const queue: { fault: LineFault; count: number }[] = [];
  return {
    behaviour(exchange) {
      const first = queue[0];
      if (!first || (unit !== undefined && exchange.request[0] !== unit)) return false;
      first.count -= 1;
      if (first.count <= 0) queue.shift();
      return LINE_FAULTS[first.fault].behave(exchange);
    },
    get waiting() {
      return queue.reduce((sum, entry) => sum + entry.count, 0);
    },
    add(fault, count) {
      const same = queue.find((entry) => entry.fault === fault);
      if (same) same.count += count;
      else queue.push({ fault, count });
    },
    clear() {
      queue.length = 0;
    },
  };
}
