/**
 * Gateway to cloud over HTTP. The gateway only dials out.
 *
 * POST /gateway/v1/uplink    body: frames (below), answer: UplinkAnswer. The acknowledgements are true: committed.
 * POST /gateway/v1/presence  body: PresenceReport (JSON), answer: 204.
 * GET  /gateway/v1/commands?gateway=ID[&group=NAME]   Server-sent events, each `data:` a Delivery; a comment line every 15 s.
 * All with `Authorization: Bearer <gateway token>`.
 *
 * Gateways on one external broker reach the same stations: they name their `group` when they open the stream, and it
 * stands for all of them as `gateway` in their presence reports, so that any of them can bring a command.
 *
 * A frame is one MQTT message as it came: u16 topic length, topic (UTF-8), u32 payload length, payload; big endian.
 */
import { z } from 'zod';
import { Command } from './commands.ts';
import { StationCodeSchema } from './station-code.ts';
import { Ack, StationPresence } from './uplink.ts';

export const UPLINK_CONTENT_TYPE = 'application/vnd.waystation.uplink';
export const BATCH_MESSAGES_MAX = 1000;
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;

export interface Frame {
  topic: string;
  payload: Uint8Array;
}

export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts = frames.map((frame) => ({
    topic: encoder.encode(frame.topic),
    payload: frame.payload,
  }));
  const total = parts.reduce((sum, part) => sum + 6 + part.topic.length + part.payload.length, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { topic, payload } of parts) {
    view.setUint16(at, topic.length);
    bytes.set(topic, at + 2);
    at += 2 + topic.length;
    view.setUint32(at, payload.length);
    bytes.set(payload, at + 4);
    at += 4 + payload.length;
  }
  return bytes;
}

/** The frames, or `null` when the bytes do not add up. Payloads are views into `bytes`. */
export function decodeFrames(bytes: Uint8Array): Frame[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const frames: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (frames.length === BATCH_MESSAGES_MAX || at + 2 > bytes.length) return null;
    const topic_length = view.getUint16(at);
    const payload_at = at + 2 + topic_length + 4;
    if (payload_at > bytes.length) return null;
    const payload_length = view.getUint32(payload_at - 4);
    if (payload_at + payload_length > bytes.length) return null;
    frames.push({
      topic: decoder.decode(bytes.subarray(at + 2, at + 2 + topic_length)),
      payload: bytes.subarray(payload_at, payload_at + payload_length),
    });
    at = payload_at + payload_length;
  }
  return frames;
}

/** One acknowledgement for each (station, stream) that the batch touched. */
export const UplinkAnswer = z.strictObject({
  acks: z
    .array(z.strictObject({ station: StationCodeSchema, ack: Ack }))
    .max(2 * BATCH_MESSAGES_MAX),
});
export type UplinkAnswer = z.output<typeof UplinkAnswer>;

export const PresenceReport = z.strictObject({
  gateway: z.string().regex(/^[a-z0-9-]{1,32}$/),
  changes: z
    .array(
      z.strictObject({
        station: StationCodeSchema,
        seen_at: z.int().min(0),
        presence: StationPresence,
      }),
    )
    .min(1)
    .max(2000),
});
export type PresenceReport = z.output<typeof PresenceReport>;

export const Delivery = z.strictObject({ station: StationCodeSchema, command: Command });
export type Delivery = z.output<typeof Delivery>;
