/**
 * The two append-only streams of a station, record by record (zod-strict).
 * `event`: what must never be lost (door, access, alarm, command results); hash-chained.
 * `sample`: telemetry; when the disk budget is reached the oldest are thinned, then dropped, and say so.
 */
import { z } from 'zod';
import { DENIAL_NAMES, METHODS } from './access.ts';
import { INPUT_NAMES, MEASUREMENTS, MEASUREMENT_NAMES, type MeasurementName } from './registers.ts';

/** synced: disciplined now. holdover: was disciplined, drifts within known bounds. unknown: do not believe `at`. */
export const CLOCK_QUALITIES = ['synced', 'holdover', 'unknown'] as const;
export type ClockQuality = (typeof CLOCK_QUALITIES)[number];

export const BOOT_ID = /^[0-9a-f]{8}$/;
export const EPOCH_ID = /^[0-9a-f]{12}$/;
/** Sequence numbers are 64-bit on paper and safe integers in JSON: 285,000 years at one a millisecond. */
export const Seq = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

/** When: wall time (ms), time since boot (ms), which boot, and how far the wall time can be believed. */
const stamp = {
  at: z.int().min(0).max(8_640_000_000_000_000),
  mono: z.int().min(0),
  boot: z.string().regex(BOOT_ID),
  clock: z.enum(CLOCK_QUALITIES),
};

export const PORTAL_STATES = [
  'secured',
  'released',
  'open',
  'heldOpen',
  'forcedOpen',
  'fault',
] as const;
export type PortalState = (typeof PORTAL_STATES)[number];
export const DOOR_MODES = ['normal', 'freeAccess', 'lockdown', 'maintenance'] as const;
export type DoorMode = (typeof DOOR_MODES)[number];
export const ROOM_STATES = ['free', 'occupied', 'bolted', 'overstay', 'welfareCheck'] as const;
export type RoomState = (typeof ROOM_STATES)[number];
export const DEVICES = ['controller', 'environment', 'reader'] as const;
export type Device = (typeof DEVICES)[number];

const Values = z.strictObject(
  Object.fromEntries(
    MEASUREMENT_NAMES.map((name) => [
      name,
      z.number().min(MEASUREMENTS[name].min).max(MEASUREMENTS[name].max).optional(),
    ]),
  ) as Record<MeasurementName, z.ZodOptional<z.ZodNumber>>,
);
const Inputs = z.strictObject(
  Object.fromEntries(INPUT_NAMES.map((name) => [name, z.boolean().optional()])) as Record<
    (typeof INPUT_NAMES)[number],
    z.ZodOptional<z.ZodBoolean>
  >,
);

const shortText = z.string().max(200);

export const EventRecord = z.discriminatedUnion('kind', [
  /** The whole station, first event after every start and (re)connect, so that the live view never waits for a backlog. */
  z.strictObject({
    kind: z.literal('snapshot'),
    ...stamp,
    portal: z.enum(PORTAL_STATES),
    mode: z.enum(DOOR_MODES),
    room: z.enum(ROOM_STATES).optional(),
    inputs: Inputs,
    values: Values,
    devices: z.record(z.enum(DEVICES), z.boolean()),
    software: z.string().max(40),
    key_set_version: z.int().min(0),
    status_list_version: z.int().min(0),
  }),
  /** A decision at the door. `card`: status-list index, a pseudonym; never present for a mom's room. */
  z.strictObject({
    kind: z.literal('access'),
    ...stamp,
    outcome: z.enum(['granted', 'denied']),
    denial: z.enum(DENIAL_NAMES).optional(),
    method: z.enum(METHODS),
    card: z.int().min(0).max(0xffff_ffff).optional(),
    org: z.int().min(0).max(0xffff_ffff).optional(),
    card_issued_at_s: z.int().min(0).optional(),
    command: shortText.optional(),
    decision_us: z.int().min(0),
  }),
  /** The portal machine moved. */
  z.strictObject({
    kind: z.literal('door'),
    ...stamp,
    from: z.enum(PORTAL_STATES),
    to: z.enum(PORTAL_STATES),
    cause: shortText,
  }),
  z.strictObject({ kind: z.literal('mode'), ...stamp, mode: z.enum(DOOR_MODES), cause: shortText }),
  z.strictObject({ kind: z.literal('room'), ...stamp, state: z.enum(ROOM_STATES) }),
  /** A contact changed that somebody must know of (SOS, smoke, tamper, mains, presence, privacy bolt, egress). */
  z.strictObject({
    kind: z.literal('input'),
    ...stamp,
    input: z.enum(INPUT_NAMES as [string, ...string[]]),
    active: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('device'),
    ...stamp,
    device: z.enum(DEVICES),
    online: z.boolean(),
    reason: shortText.optional(),
  }),
  /** The station's own word on a command; the only source of a command's status. */
  z.strictObject({
    kind: z.literal('command'),
    ...stamp,
    id: z.string().max(64),
    status: z.enum(['received', 'succeeded', 'failed', 'expired']),
    reason: shortText.optional(),
  }),
  z.strictObject({
    kind: z.literal('started'),
    ...stamp,
    software: z.string().max(40),
    previous_boot: z.string().regex(BOOT_ID).optional(),
  }),
  /** The clock was set or its quality changed; `offset_ms` = wall minus mono of this boot from now on. */
  z.strictObject({
    kind: z.literal('clock'),
    ...stamp,
    quality: z.enum(CLOCK_QUALITIES),
    offset_ms: z.int(),
    step_ms: z.int(),
  }),
  z.strictObject({
    kind: z.literal('trust'),
    ...stamp,
    key_set_version: z.int().min(0),
    status_list_version: z.int().min(0),
  }),
  /**
   * The outbox was begun anew: why, and which epoch went before (if it can still be told). `events_lost`: unacknowledged
   * events of that epoch known to have been there and not readable any more; what was readable follows this record.
   */
  z.strictObject({
    kind: z.literal('epoch'),
    ...stamp,
    reason: z.enum(['created', 'corrupt', 'forked']),
    previous_epoch: z.string().regex(EPOCH_ID).optional(),
    events_lost: z.int().min(1).optional(),
  }),
]);
export type EventRecord = z.output<typeof EventRecord>;

/** `span`: how many sequence numbers this record stands for; more than 1 after thinning. */
const span = { span: z.int().min(1).max(1_000_000_000).optional() };

export const SampleRecord = z.discriminatedUnion('kind', [
  /** Measurements that moved beyond their deadband, or all of them at the heartbeat. */
  z.strictObject({ kind: z.literal('report'), ...stamp, ...span, values: Values }),
  /** Records that are gone for ever, and why. `at` is the newest of them. */
  z.strictObject({
    kind: z.literal('gap'),
    ...stamp,
    span: z.int().min(1).max(1_000_000_000),
    reason: z.enum(['diskBudget', 'corrupt', 'clock']),
    from_at: z.int().min(0),
  }),
]);
export type SampleRecord = z.output<typeof SampleRecord>;

export type StationRecord = EventRecord | SampleRecord;

/** How many sequence numbers a record of either stream covers. */
export function spanOf(record: { span?: number | undefined }): number {
  return record.span ?? 1;
}
