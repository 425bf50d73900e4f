/** What the station agent needs from the world. Adapters are made in main.ts, or by the fleet and the tests. */
import type { Denial, Sentence } from '@waystation/protocol/access';
import type { Command } from '@waystation/protocol/commands';
import type { ClockQuality, Device, EventRecord, SampleRecord } from '@waystation/protocol/records';
import type { InputName, MeasurementName, Reading } from '@waystation/protocol/registers';
import type { Ack, OutgoingMessage, StationPresence } from '@waystation/protocol/uplink';
import type { Stream } from '@waystation/protocol/topics';
import type { EpochMs, MonoMs } from '@waystation/runtime/clock';

/** A byte line that may vanish and come back; one owner, one instance a connection. */
export interface ByteLine {
  readonly isOpen: boolean;
  /** Sends now or not at all: a closed line throws Fault SERIAL_CLOSED and keeps nothing for later. */
  write(bytes: Uint8Array): void;
  /** The listener must not keep `bytes`. */
  onData(listener: (bytes: Uint8Array) => void): void;
  onUp(listener: () => void): void;
  onDown(listener: () => void): void;
  close(): Promise<void>;
}

export type Inputs = Readonly<Record<InputName, boolean>>;

/** The I/O controller and sensors behind the field bus. */
export interface FieldIo {
  start(): void;
  stop(): Promise<void>;
  /** Every poll, changed or not, so that silence can be told from sameness. */
  onInputs(listener: (inputs: Inputs, at: MonoMs) => void): void;
  onMeasurements(
    listener: (readings: Partial<Record<MeasurementName, Reading>>, at: MonoMs) => void,
  ): void;
  /** Once when a device is lost, once when it is back. */
  onDevice(
    listener: (device: Exclude<Device, 'reader'>, online: boolean, reason: string) => void,
  ): void;
  /**
   * Releases or engages the lock relay, ahead of every poll. Resolves when the coil was read back as commanded.
   * Rejects with Fault LOCK_UNCONFIRMED, MODBUS_TIMEOUT, MODBUS_CRC, MODBUS_EXCEPTION, MODBUS_EXPIRED or SERIAL_CLOSED.
   * `sent` is called when the coil frame is handed to the line.
   */
  setLockRelease(on: boolean, options: { expire_ms: number; sent?: () => void }): Promise<void>;
  /** Switches the sounder (COILS.sounder) when the line is free; a lost line drops it. Never throws. */
  setSounder(on: boolean): void;
}

/** The QR reader: whole lines in, one answer out. */
export interface Reader {
  start(): void;
  stop(): Promise<void>;
  /** The bytes between line ends, never trimmed. `at`: when the last byte came. */
  onLine(listener: (line: Uint8Array, at: MonoMs) => void): void;
  onOnline(listener: (online: boolean, reason: string) => void): void;
  /** Shows and speaks the decision; a reader without display drops it. Never throws. */
  answer(
    decision: { outcome: 'granted' } | { outcome: 'denied'; denial: Denial },
    sentence: Sentence,
  ): void;
}

export type CardVerdict =
  | {
      verdict: 'valid';
      card: number;
      org: number;
      rights: number;
      issued_at_s: number;
      sequence: number;
    }
  | { verdict: 'refused'; denial: Denial };

/** Judges a line of the reader. Pure but for its replay memory, which only `accept` writes. */
export interface CardVerifier {
  verify(line: Uint8Array, now: { wall: EpochMs; clock: ClockQuality }): CardVerdict;
  /** Remembers that this presentation was used, durably, before the door moves. */
  accept(card: number, sequence: number, now: EpochMs): void;
}

/** Key set and status list as last accepted; signed, so the way they came does not matter. */
export interface TrustStore {
  versions(): { key_set_version: number; status_list_version: number };
  /** Verifies and stores. Throws Fault TRUST_INVALID; an older version changes nothing and returns false. */
  applyKeySet(body: Uint8Array): boolean;
  applyStatusList(body: Uint8Array): boolean;
}

/** How far the host's wall clock can be believed. */
export interface ClockSource {
  quality(): ClockQuality;
}

export interface Boot {
  /** First 8 hex digits of the kernel's boot id (or a random one where there is none). */
  id: string;
}

/** The two append-only streams. `append*` resolves when the record is durable. */
export interface Outbox {
  /** Throws Fault OUTBOX_FULL when the disk refuses. Resolves after fsync. */
  appendEvent(record: EventRecord): Promise<{ seq: number }>;
  /** Group-committed within seconds; may thin the oldest samples to stay within the disk budget. */
  appendSample(record: SampleRecord): void;
  /** Next records after `after`, oldest first, as one message; null when there is none. */
  read(
    stream: Stream,
    after: number,
    limits: { records: number; bytes: number },
  ): OutgoingRead | null;
  /** Trims up to an acknowledgement without a problem. A `through` beyond the head, or problem fork, begins a new epoch. */
  acknowledge(ack: Ack): void;
  position(stream: Stream): { epoch: string; acked: number; head: number };
  /** Called when something new can be read. */
  onAppend(listener: (stream: Stream) => void): void;
  flush(): Promise<void>;
  close(): void;
}
export interface OutgoingRead {
  message: OutgoingMessage;
  /** Sequence number of the last record in it. */
  last: number;
}

/** One MQTT session after another; the outbox is the only retry buffer, this port keeps nothing. */
export interface UplinkTransport {
  /**
   * Connects with the last will, subscribes to ack and cmd, publishes the birth. Resolves with a live session.
   * Rejects with Fault UPLINK_REFUSED, UPLINK_CLOCK or UPLINK_LOST.
   */
  connect(birth: Extract<StationPresence, { state: 'online' }>): Promise<UplinkSession>;
}
export interface UplinkSession {
  /** Queues to the socket at QoS 0; the application acknowledgement is the only promise. */
  send(stream: Stream, message: OutgoingMessage): void;
  onAck(listener: (ack: Ack) => void): void;
  /** The command is acknowledged to the broker after the listener's promise resolves. */
  onCommand(listener: (command: Command) => Promise<void>): void;
  onClosed(listener: (reason: string) => void): void;
  /** Says goodbye (retained offline, clean) and closes. */
  end(): Promise<void>;
}
