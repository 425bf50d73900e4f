/** A station's hardware put together: the room, two Modbus units on one line, the QR reader on another. */
import { stationKind, type StationCode } from '@waystation/protocol/station-code';
import type { Clock, MonoMs } from '@waystation/runtime/clock';
import { faultQueue, type FaultQueue } from './behaviours.ts';
import { unitBank, type Room } from './controller.ts';
import { createSlave, type DeviceLine, type SlaveCounters } from './modbus-slave.ts';
import { createReader, type QrReader, type ReaderAnswer } from './reader.ts';
import { consumption, stay_ms } from './visitors.ts';
import {
  createWorld,
  stepWorld,
  type DoorTiming,
  type Happening,
  type World,
  type WorldInput,
} from './world.ts';

/** A line that a person can pull out. */
export interface PluggableLine extends DeviceLine {
  unplug(): void;
  replug(): void;
}

export const LINE_NAMES = ['bus', 'reader'] as const;
export type LineName = (typeof LINE_NAMES)[number];

export type ScanResult =
  | (ReaderAnswer & {
      /** From the last byte of the scan to the lock's coil frame; for a denial to the answer. */
      decision_ms: number;
      answer_ms: number;
    })
  | { outcome: 'unanswered'; sentence: string };

export interface StationHardware {
  readonly code: StationCode;
  readonly reader: QrReader;
  readonly faults: FaultQueue;
  readonly bus_counters: Readonly<SlaveCounters>;
  /** The room as it is now. */
  look(): World;
  act(input: WorldInput): Happening[];
  /** Shows a code to the reader and waits for the agent's word; one at a time. Never rejects. */
  scan(text: string): Promise<ScanResult>;
  isPlugged(line: LineName): boolean;
  unplug(line: LineName): void;
  replug(line: LineName): void;
  onHappening(listener: (happening: Happening) => void): void;
}

/** The agent reads the same code once in a few seconds and keeps silent on repeats: nobody waits longer at the door. */
const ANSWER_TIMEOUT_MS = 5_000;
const SCANS_WAITING_MAX = 16;
/** From the welcome to the hand on the door. */
const WALK_IN_MS = 1_500;
const WIRE_ROUNDING = 1000;

const rounded = (ms: number) => Math.round(ms * WIRE_ROUNDING) / WIRE_ROUNDING;

/** The room, aged whenever somebody looks: an idle station costs nothing. */
function liveRoom(start: World, clock: Clock, tell: (happening: Happening) => void) {
  let world = start;
  let aged_at = clock.mono();
  const act = (input: WorldInput): Happening[] => {
    const now = clock.mono();
    const step = stepWorld(world, input, now - aged_at);
    world = step.world;
    aged_at = now;
    for (const happening of step.happened) tell(happening);
    return step.happened;
  };
  const look = (): World => {
    if (clock.mono() > aged_at) act({ do: 'nothing' });
    return world;
  };
  return { act, look };
}

/**
 * `random` drives how long visitors stay and what they take; `walk_in`: a granted card's holder goes in.
 * `baud`: replies of the bus wait as long as a wire of that speed would need.
 */
export function createStation(parts: {
  code: StationCode;
  clock: Clock;
  random: () => number;
  bus: PluggableLine;
  reader: PluggableLine;
  walk_in?: boolean;
  baud?: number | undefined;
  timing?: Readonly<DoorTiming>;
}): StationHardware {
  const { code, clock, random } = parts;
  const kind = stationKind(code);
  const listeners: ((happening: Happening) => void)[] = [];
  const live = liveRoom(createWorld(kind, parts.timing), clock, (happening) => {
    for (const listener of listeners) listener(happening);
  });
  const room: Room = { look: live.look, act: (input) => void live.act(input) };
  let lock_coil_at: MonoMs | null = null;
  const noteLockCoil = (on: boolean) => {
    if (on) lock_coil_at ??= clock.mono();
  };
  const faults = faultQueue();
  const banks = [unitBank('controller', room, noteLockCoil), unitBank('environment', room)];
  const slave = createSlave({
    line: parts.bus,
    banks,
    clock,
    behaviours: [faults.behaviour],
    baud: parts.baud,
  });
  const reader = createReader(parts.reader);
  const lines: Record<LineName, PluggableLine> = { bus: parts.bus, reader: parts.reader };
  const plugged: Record<LineName, boolean> = { bus: true, reader: true };

  let waiting: ((answer: ReaderAnswer) => void) | null = null;
  reader.onAnswer((answer) => {
    waiting?.(answer);
    if (answer.outcome !== 'granted' || parts.walk_in === false) return;
    clock.after(WALK_IN_MS, () =>
      live.act({ do: 'enter', stay_ms: stay_ms(kind, random), takes: consumption(kind, random) }),
    );
  });

  const scanNow = (text: string): Promise<ScanResult> => {
    if (!plugged.reader)
      return Promise.resolve({ outcome: 'unanswered', sentence: 'the reader is unplugged' });
    return new Promise((resolve) => {
      const timer = clock.after(ANSWER_TIMEOUT_MS, () => {
        waiting = null;
        resolve({
          outcome: 'unanswered',
          sentence: `the station did not answer within ${ANSWER_TIMEOUT_MS} ms`,
        });
      });
      lock_coil_at = null;
      reader.scan(text);
      const scanned_at = clock.mono();
      waiting = (answer) => {
        timer.stop();
        waiting = null;
        const answer_ms = clock.mono() - scanned_at;
        const decision_ms =
          answer.outcome === 'granted' && lock_coil_at !== null
            ? lock_coil_at - scanned_at
            : answer_ms;
        resolve({ ...answer, decision_ms: rounded(decision_ms), answer_ms: rounded(answer_ms) });
      };
    });
  };
  let scans_waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();

  return {
    code,
    reader,
    faults,
    bus_counters: slave.counters,
    look: live.look,
    act: live.act,
    scan(text) {
      if (scans_waiting >= SCANS_WAITING_MAX)
        return Promise.resolve({
          outcome: 'unanswered',
          sentence: 'too many people wait at this reader',
        });
      scans_waiting += 1;
      const result = turn.then(() => scanNow(text));
      turn = result.then(() => {
        scans_waiting -= 1;
      });
      return result;
    },
    isPlugged: (line) => plugged[line],
    unplug(line) {
      if (plugged[line]) lines[line].unplug();
      plugged[line] = false;
    },
    replug(line) {
      if (!plugged[line]) lines[line].replug();
      plugged[line] = true;
    },
    onHappening: (listener) => {
      listeners.push(listener);
    },
  };
}
