/** Cloud to station, at `ws/1/{station}/cmd`. A late or repeated command is not executed: the station checks, nobody else. */
import { z } from 'zod';
import { CLOCK_QUALITIES, DOOR_MODES } from './records.ts';

/** Largest command, a full status list included. */
export const COMMAND_BYTES_MAX = 512 * 1024;

/**
 * `deadline_at`: absolute wall time in ms; after it the station answers `expired` and does nothing.
 * `nonce`: never used twice; the station journals ids and nonces it has executed.
 * `min_clock`: the worst clock quality under which the station may judge the deadline.
 */
const order = {
  id: z.string().regex(/^[0-9a-zA-Z_-]{8,64}$/),
  nonce: z.string().regex(/^[0-9a-f]{16}$/),
  issued_at: z.int().min(0),
  deadline_at: z.int().min(0),
  min_clock: z.enum(CLOCK_QUALITIES),
};

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);

export const Command = z.discriminatedUnion('kind', [
  /** Opens the door once, as a granted card would. `actor` is an account, never a person's name. */
  z.strictObject({
    kind: z.literal('open'),
    ...order,
    actor: z.string().max(64),
    reason: z.string().min(1).max(200),
  }),
  z.strictObject({
    kind: z.literal('setMode'),
    ...order,
    mode: z.enum(DOOR_MODES),
    actor: z.string().max(64),
    reason: z.string().min(1).max(200),
  }),
  /** Signed by the root: trusted for its signature, not for its way here; no deadline. */
  z.strictObject({
    kind: z.literal('keySet'),
    version: z.int().min(1),
    body: base64.max(64 * 1024),
  }),
  z.strictObject({
    kind: z.literal('statusList'),
    version: z.int().min(1),
    body: base64.max(480 * 1024),
  }),
]);
export type Command = z.output<typeof Command>;
export type Order = Extract<Command, { deadline_at: number }>;

/** `sent` and `unknown` are the cloud's; every other status is the station's own record. */
export const COMMAND_STATUSES = [
  'sent',
  'received',
  'succeeded',
  'failed',
  'expired',
  'unknown',
] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];
