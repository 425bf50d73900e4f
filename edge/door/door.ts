/**
 * The door at work: joins the pure machines with the lock, the reader and the journal, in one fixed order:
 * decision, event durable, coil. Nothing here waits for a network.
 */
import { DENIALS, WELCOME } from '@waystation/protocol/access';
import {
  type DoorMode,
  DOOR_MODES,
  type PortalState,
  ROOM_STATES,
  type RoomState,
} from '@waystation/protocol/records';
import { type StationCode, stationKind } from '@waystation/protocol/station-code';
import type { Clock, MonoMs, Timer } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { EventJournal } from '../event-journal.ts';
import type { DurableTable } from '../outbox/durable-table.ts';
import type { CardVerifier, FieldIo, Inputs, Reader } from '../ports.ts';
import type { Stamp } from '../time/stamp.ts';
import {
  type AccessDecision,
  type AccessPolicy,
  type AccessRequest,
  decideAccess,
  NO_ATTEMPTS,
} from './access.ts';
import { type AccessLog, type Asked, createAccessLog } from './access-log.ts';
import { createDoorMetrics, type DoorMetrics } from './door-metrics.ts';
import type { OpeningOverride } from './opening-policy.ts';
import {
  type LockCommand,
  newPortal,
  portalDeadline,
  type PortalEffect,
  type PortalInput,
} from './portal.ts';
import { stepPortal } from './portal.ts';
import type { PortalSettings } from './portal-settings.ts';
import {
  newRoom,
  type Room,
  roomDeadline,
  type RoomInput,
  type RoomSettings,
  stepRoom,
} from './room.ts';

export interface DoorSettings {
  portal: PortalSettings;
  room: RoomSettings;
  access: Omit<AccessPolicy, 'kind'>;
  /** What a valid card gets while no event can be written. */
  journal_failure: 'fail_open' | 'fail_closed';
}

export interface DoorOptions {
  station: StationCode;
  settings: DoorSettings;
  io: FieldIo;
  reader: Reader;
  verifier: CardVerifier;
  journal: EventJournal;
  /** Remembers mode and room over a restart; durable with the next event. */
  kept: Pick<DurableTable, 'get' | 'put'>;
  clock: Clock;
  stamp: () => Stamp;
  /** A heat or cold alert in force, if any. */
  override: () => OpeningOverride | null;
  log: Log;
}

/** What came of a request once the lock was asked. */
export type DoorAnswer = AccessDecision;

/** A lock command older than this is not worth doing: whoever asked has been told that it failed. */
const COMMAND_EXPIRE_MS = 1_000;
/** Scans that wait for the one before; a reader is slower than that by far. */
const SCANS_WAITING_MAX = 4;

export class Door {
  readonly metrics: DoorMetrics = createDoorMetrics();
  readonly #options: DoorOptions;
  readonly #policy: AccessPolicy;
  readonly #access_log: AccessLog;
  #portal = newPortal('normal');
  #room: Room | null;
  #attempts = NO_ATTEMPTS;
  #inputs: Inputs | null = null;
  #controller_online = true;
  #turn: Promise<unknown> = Promise.resolve();
  #scans_waiting = 0;
  #commands = 0;
  #timer: { at: MonoMs; timer: Timer } | null = null;

  constructor(options: DoorOptions) {
    const { kept, station, clock, settings, journal, verifier, stamp } = options;
    this.#options = options;
    this.#policy = { ...settings.access, kind: stationKind(station) };
    this.#access_log = createAccessLog({
      journal,
      verifier,
      clock,
      stamp,
      names_cards: this.#policy.kind === 'W',
    });
    this.#portal = newPortal(DOOR_MODES.find((mode) => mode === kept.get('mode')) ?? 'normal');
    const remembered = ROOM_STATES.find((state) => state === kept.get('room')) ?? 'free';
    this.#room = this.#policy.kind === 'M' ? newRoom(remembered, clock.mono()) : null;
  }

  view(): { portal: PortalState; mode: DoorMode; room: RoomState | null } {
    return { portal: this.#portal.state, mode: this.#portal.mode, room: this.#room?.state ?? null };
  }

  /** Every poll of the contacts. */
  sense(inputs: Inputs): void {
    if (!this.#controller_online || inputs === this.#inputs) return;
    const before = this.#inputs;
    this.#inputs = inputs;
    if (before !== null && this.#portal.contacts !== null && sameContacts(before, inputs)) return;
    void this.#step({ i: 'contacts', contacts: contactsOf(inputs) });
  }

  controller(online: boolean): void {
    this.#controller_online = online;
    if (online) return;
    this.#inputs = null;
    void this.#step({ i: 'busLost' });
  }

  /** A line of the reader. `at`: when its last byte came. The answer goes back to the reader. */
  scan(line: Uint8Array, at: MonoMs): void {
    if (this.#scans_waiting >= SCANS_WAITING_MAX) {
      this.metrics.scans_dropped += 1;
      return;
    }
    this.#scans_waiting += 1;
    const bytes = line.slice();
    const { reader, verifier, clock, stamp, log } = this.#options;
    this.#inTurn(() => {
      this.#scans_waiting -= 1;
      const verdict = verifier.verify(bytes, { wall: clock.wall(), clock: stamp().clock });
      const asked: Asked = {
        method: 'card',
        at,
        ...(verdict.verdict === 'valid' ? { card: verdict } : {}),
      };
      return this.#request({ method: 'card', verdict }, asked);
    })
      .then((answer) => {
        reader.answer(answer, answer.outcome === 'granted' ? WELCOME : DENIALS[answer.denial]);
        this.metrics.answer_ms.observe(clock.mono() - at);
      })
      .catch((error: unknown) => log('error', 'door.scan.failed', { problem: String(error) }));
  }

  /** An operator's opening; `command`: the id of the order. */
  open(command: string): Promise<DoorAnswer> {
    const asked: Asked = { method: 'remote', at: this.#options.clock.mono(), command };
    return this.#inTurn(() => this.#request({ method: 'remote' }, asked));
  }

  /** Throws Fault COMMAND_REFUSED with the reason, or OUTBOX_FULL; then nothing has changed. */
  setMode(mode: DoorMode, cause: string): Promise<void> {
    return this.#inTurn(async () => {
      const { kept, journal, stamp } = this.#options;
      // A lock that stands released cannot keep a room exclusive.
      if (mode === 'freeAccess' && this.#room !== null) {
        throw new Fault('COMMAND_REFUSED', { reason: "a mom's room has no free access" });
      }
      const before = this.#portal.mode;
      kept.put('mode', mode);
      try {
        await journal.append({ kind: 'mode', ...stamp(), mode, cause });
      } catch (error) {
        kept.put('mode', before);
        throw error;
      }
      void this.#step({ i: 'mode', mode });
      return () => undefined;
    });
  }

  stop(): void {
    this.#timer?.timer.stop();
    this.#timer = null;
  }

  /** One request at a time up to the moment its coil frame is sent; `work` returns what may then wait outside the turn. */
  #inTurn<T>(work: () => Promise<() => T | Promise<T>> | (() => T)): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine.then((rest) => rest());
  }

  /** Decides, makes the event durable, and only then lets the lock move. */
  async #request(
    request: AccessRequest,
    asked: Asked,
  ): Promise<() => DoorAnswer | Promise<DoorAnswer>> {
    const { clock, stamp, override, settings, log } = this.#options;
    const { decision, attempts } = decideAccess(
      this.#policy,
      request,
      this.#state(stamp(), override()),
      {
        wall: clock.wall(),
        mono: clock.mono(),
      },
    );
    this.#attempts = attempts;
    const granted = decision.outcome === 'granted';
    // Before the first await: the next request must already find the room taken.
    if (granted) this.#stepRoom({ i: 'grant' });
    try {
      await this.#access_log.write(decision, asked, attempts);
    } catch (error) {
      if (!isFault(error, 'OUTBOX_FULL')) throw error;
      this.metrics.undurable_decisions += 1;
      if (granted && settings.journal_failure === 'fail_closed') {
        this.#stepRoom({ i: 'refused' });
        return () => this.#count({ outcome: 'denied', denial: 'journalUnavailable' });
      }
      log('error', 'door.journal.failedOpen', { outcome: decision.outcome });
    }
    if (!granted) return () => this.#count(decision);
    const released = this.#step({ i: 'grant' }, () =>
      this.metrics.scan_to_coil_ms.observe(clock.mono() - asked.at),
    );
    return async () => {
      if (await released) return this.#count(decision);
      this.#stepRoom({ i: 'refused' });
      return this.#count({ outcome: 'denied', denial: 'lockFault' });
    };
  }

  #state(stamp: Stamp, override: OpeningOverride | null) {
    return {
      mode: this.#portal.mode,
      room: this.#room?.state ?? null,
      controller_online: this.#portal.contacts !== null,
      clock: stamp.clock,
      override,
      attempts: this.#attempts,
    };
  }

  #count(answer: DoorAnswer): DoorAnswer {
    const key = answer.outcome === 'granted' ? 'granted' : answer.denial;
    this.metrics.answers.set(key, (this.metrics.answers.get(key) ?? 0) + 1);
    return answer;
  }

  /** Moves the portal and performs what follows. Resolves to whether the lock was released as asked, if it was. */
  #step(input: PortalInput, sent?: () => void): Promise<boolean> {
    const { clock, settings } = this.#options;
    const { portal, effects } = stepPortal(this.#portal, input, clock.mono(), settings.portal);
    this.#portal = portal;
    const released = this.#perform(effects, sent);
    if (this.#room !== null && this.#inputs !== null) {
      const { privacyBolt, presence } = this.#inputs;
      this.#stepRoom({
        i: 'contacts',
        contacts: { door_open: portal.door_open, bolted: privacyBolt, presence },
      });
    }
    this.#arm();
    return released;
  }

  #perform(effects: readonly PortalEffect[], sent?: () => void): Promise<boolean> {
    const { io, journal, stamp } = this.#options;
    let released: Promise<boolean> = Promise.resolve(false);
    for (const effect of effects) {
      switch (effect.e) {
        case 'release':
          released = this.#command('release', sent);
          break;
        case 'engage':
          void this.#command('engage');
          break;
        case 'record':
          journal.note({
            kind: 'door',
            ...stamp(),
            from: effect.from,
            to: effect.to,
            cause: effect.cause,
          });
          break;
        case 'sounder':
          io.setSounder(effect.on);
          break;
        default:
          effect satisfies never;
      }
    }
    return released;
  }

  async #command(command: LockCommand, sent?: () => void): Promise<boolean> {
    const number = ++this.#commands;
    const options =
      sent === undefined
        ? { expire_ms: COMMAND_EXPIRE_MS }
        : { expire_ms: COMMAND_EXPIRE_MS, sent };
    const done = await this.#options.io.setLockRelease(command === 'release', options).then(
      () => true,
      (error: unknown) => {
        this.metrics.lock_failures += 1;
        this.#options.log('warn', 'door.lock.failed', { command, problem: String(error) });
        return false;
      },
    );
    // A newer command has overtaken this one: its result says nothing about the lock any more.
    if (number === this.#commands)
      void this.#step({ i: done ? 'commandDone' : 'commandFailed', command });
    return done;
  }

  #stepRoom(input: RoomInput): void {
    if (this.#room === null) return;
    const { clock, settings, kept, journal, stamp } = this.#options;
    const { room, effects } = stepRoom(this.#room, input, clock.mono(), settings.room);
    this.#room = room;
    for (const effect of effects) {
      kept.put('room', effect.state);
      journal.note({ kind: 'room', ...stamp(), state: effect.state });
    }
  }

  #arm(): void {
    const { clock, settings } = this.#options;
    const now = clock.mono();
    const dues = [
      portalDeadline(this.#portal, now, settings.portal),
      this.#room === null ? null : roomDeadline(this.#room, now, settings.room),
    ].filter((due) => due !== null);
    const at = dues.length === 0 ? null : dues.reduce((a, b) => (a < b ? a : b));
    if (this.#timer?.at === at) return;
    this.#timer?.timer.stop();
    this.#timer =
      at === null
        ? null
        : {
            at,
            timer: clock.after(at - now, () => {
              this.#timer = null;
              this.#stepRoom({ i: 'tick' });
              void this.#step({ i: 'tick' });
            }),
          };
  }
}

const DOOR_INPUTS = [
  'doorOpen',
  'lockEngaged',
  'egressPressed',
  'smoke',
  'mainsPresent',
  'privacyBolt',
  'presence',
] as const;

function sameContacts(a: Inputs, b: Inputs): boolean {
  return DOOR_INPUTS.every((name) => a[name] === b[name]);
}

function contactsOf(inputs: Inputs) {
  return {
    door_open: inputs.doorOpen,
    lock_engaged: inputs.lockEngaged,
    egress_pressed: inputs.egressPressed,
    smoke: inputs.smoke,
    mains_present: inputs.mainsPresent,
  };
}
