/** What stations put on the wire, read from the bytes themselves: the audit's own memory of every record. */
import mqttPacket from 'mqtt-packet';
import { z } from 'zod';

export type StreamName = 'event' | 'sample';

/** A record as it was sent. A sample may be sent again thinned: then its number has several. */
export interface WireRecord {
  span: number;
  json: string;
  kind: string;
  /** Wall time of the telemetry point, as the cloud was told when this was sent. */
  at: number;
}

export interface WireStream {
  station: string;
  stream: StreamName;
  epoch: string;
  /** By first sequence number. */
  records: Map<number, WireRecord[]>;
}

export interface Wiretap {
  /** One connection from a station. */
  listen(): (bytes: Buffer) => void;
  streams(): WireStream[];
  /** `forgotten`: beyond the limits; what the cloud has of them the audit will call unseen. */
  readonly counts: Readonly<{
    messages: number;
    records: number;
    unread: number;
    forgotten: number;
  }>;
}

const RECORDS_MAX = 3_000_000;
const VARIANTS_MAX = 64;
const UPLINK = /^ws\/1\/([^/]+)\/up\/(event|sample)$/;

const Message = z.looseObject({
  epoch: z.string(),
  first: z.int(),
  offsets: z.record(z.string(), z.number()).optional(),
  records: z.array(z.unknown()),
});
const SentRecord = z.looseObject({
  kind: z.string(),
  at: z.number(),
  mono: z.number(),
  boot: z.string(),
  clock: z.string(),
  span: z.int().optional(),
});
type SentRecord = z.output<typeof SentRecord>;
type Message = z.output<typeof Message>;

/** Of an untrusted clock the time since the boot counts, where the boot's own time is known. */
function pointTime(record: SentRecord, offsets: Message['offsets']): number {
  const offset = record.clock === 'unknown' ? offsets?.[record.boot] : undefined;
  const at = offset === undefined ? record.at : record.mono + offset;
  return at >= 0 ? at : record.at;
}

export function createWiretap(): Wiretap {
  const streams = new Map<string, WireStream>();
  const counts = { messages: 0, records: 0, unread: 0, forgotten: 0 };

  const note = (station: string, stream: StreamName, message: Message) => {
    const key = `${station} ${stream} ${message.epoch}`;
    const found = streams.get(key);
    const held = found ?? { station, stream, epoch: message.epoch, records: new Map() };
    if (!found) streams.set(key, held);
    let seq = message.first;
    for (const raw of message.records) {
      const record = SentRecord.parse(raw);
      const span = record.span ?? 1;
      const at = pointTime(record, message.offsets);
      const json = JSON.stringify(raw); // not the parsed one: the chain covers the keys in the order they were sent
      const variants: WireRecord[] = held.records.get(seq) ?? [];
      if (!variants.some((known) => known.json === json && known.at === at)) {
        if (counts.records >= RECORDS_MAX || variants.length >= VARIANTS_MAX) {
          counts.forgotten += 1;
          return;
        }
        held.records.set(seq, [...variants, { span, json, kind: record.kind, at }]);
        counts.records += 1;
      }
      seq += span;
    }
  };

  const read = (topic: string, payload: Buffer) => {
    const [, station, stream] = UPLINK.exec(topic) ?? [];
    if (station === undefined || (stream !== 'event' && stream !== 'sample')) return;
    counts.messages += 1;
    try {
      note(station, stream, Message.parse(JSON.parse(payload.toString())));
    } catch {
      counts.unread += 1; // what of it the cloud stores will be unknown to the audit, and said so
    }
  };

  return {
    counts,
    streams: () => [...streams.values()],
    listen() {
      const parser = mqttPacket.parser({ protocolVersion: 4 });
      let sound = true;
      parser.on('packet', (packet) => {
        if (packet.cmd === 'publish') read(packet.topic, Buffer.from(packet.payload));
      });
      parser.on('error', () => {
        sound = false;
        counts.unread += 1;
      });
      return (bytes) => {
        if (sound) parser.parse(bytes);
      };
    },
  };
}
