/**
 * Station to cloud: consecutive records of one stream, and the cumulative acknowledgement that alone trims the outbox.
 * The station's code and the stream stand in the topic.
 */
import { z } from 'zod';
import { BOOT_ID, EPOCH_ID, Seq, type StationRecord } from './records.ts';
import { STREAMS } from './topics.ts';

/** A message carries at most this many records and this many bytes; the gateway refuses more. */
export const UPLINK_RECORDS_MAX = 256;
export const UPLINK_BYTES_MAX = 128 * 1024;
/** Messages of one stream in flight without an acknowledgement. */
export const UPLINK_WINDOW = 8;

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * The envelope is parsed strictly; each record is parsed by itself, so that a poison record never costs its neighbours.
 * `first`: sequence number of the first record. The others follow without a gap (see `spanOf`).
 * `previous_hash`: chain hash of record `first - 1` (event stream only), see runtime/hash-chain.ts.
 * `offsets`: wall minus mono per boot, for records that were made before their boot's clock was set.
 */
export const UplinkMessage = z.strictObject({
  epoch: z.string().regex(EPOCH_ID),
  first: Seq,
  previous_hash: hash.optional(),
  offsets: z.record(z.string().regex(BOOT_ID), z.int()).optional(),
  records: z.array(z.unknown()).min(1).max(UPLINK_RECORDS_MAX),
});
export type UplinkMessage = Omit<z.output<typeof UplinkMessage>, 'records'> & {
  records: readonly unknown[];
};
/** The same as a station builds it. */
export type OutgoingMessage = Omit<UplinkMessage, 'records'> & {
  records: readonly StationRecord[];
};

/**
 * `through`: every record up to and including this one is committed (0: none yet).
 * `problem` fork: the cloud holds another history for this epoch; the station begins a new epoch.
 * `problem` gap: the message began after `through + 1`; send from there.
 */
export const Ack = z.strictObject({
  stream: z.enum(STREAMS),
  epoch: z.string().regex(EPOCH_ID),
  through: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  problem: z.enum(['fork', 'gap', 'refused']).optional(),
});
export type Ack = z.output<typeof Ack>;

/**
 * Retained at `ws/1/{station}/state`: birth on connect, death as the last will.
 * `session` ties a death to its birth, so that a late will cannot declare a living station dead.
 */
export const StationPresence = z.discriminatedUnion('state', [
  z.strictObject({
    state: z.literal('online'),
    session: z.string().regex(/^[0-9a-f]{16}$/),
    at: z.int().min(0),
    software: z.string().max(40),
    key_set_version: z.int().min(0),
    status_list_version: z.int().min(0),
  }),
  z.strictObject({
    state: z.literal('offline'),
    session: z.string().regex(/^[0-9a-f]{16}$/),
    clean: z.boolean(),
  }),
]);
export type StationPresence = z.output<typeof StationPresence>;
