/** One station's connection: what it may say and hear, derived from the topic table once, and how fast it may speak. */
import type { Client } from 'aedes';
import {
  STREAMS,
  TOPICS,
  ackTopic,
  commandTopic,
  mayPublish,
  maySubscribe,
  stateTopic,
  uplinkTopic,
  type Stream,
} from '@waystation/protocol/topics';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Bucket } from './rate.ts';

/** Birth and death are a few fields. */
export const STATE_BYTES_MAX = 512;

export interface Rights {
  /** Topic → what a publish to it is. Whatever is not here is refused. */
  publish: ReadonlyMap<string, { name: 'uplink'; stream: Stream } | { name: 'state' }>;
  /** Filter → what it hears. */
  subscribe: ReadonlyMap<string, 'ack' | 'command'>;
}

export interface Session {
  readonly station: StationCode;
  readonly client: Client;
  readonly rights: Rights;
  readonly messages: Bucket;
  readonly bytes: Bucket;
  readonly hears: Set<'ack' | 'command'>;
  /** From the birth, so that the end of the connection can be told as the death of the right session. */
  presence_session: string | null;
  /** Packets taken whose sender must wait; Aedes reads on when they are released. */
  held: (() => void)[];
}

/** Deny by default: only what the topic table allows this station, each spelled out. */
export function rightsOf(station: StationCode): Rights {
  const publish = new Map<string, { name: 'uplink'; stream: Stream } | { name: 'state' }>();
  for (const stream of STREAMS)
    publish.set(uplinkTopic(station, stream), { name: 'uplink', stream });
  publish.set(stateTopic(station), { name: 'state' });
  for (const topic of publish.keys()) if (!mayPublish(station, topic)) publish.delete(topic);
  const subscribe = new Map<string, 'ack' | 'command'>([
    [ackTopic(station), 'ack'],
    [commandTopic(station), 'command'],
  ]);
  for (const filter of subscribe.keys())
    if (!maySubscribe(station, filter)) subscribe.delete(filter);
  return { publish, subscribe };
}

export interface Publish {
  topic: string;
  qos: number;
  retain: boolean;
  payload: string | Buffer;
}

export type PublishVerdict =
  | { verdict: 'uplink'; stream: Stream }
  | { verdict: 'state' }
  | { verdict: 'refused'; reason: 'topic' | 'qos' | 'retain' | 'size' };

/**
 * Judges a publish of a station: its own topics, with exactly the QoS and the retain flag of the table.
 * QoS 1 on the uplink is refused because its PUBACK would be a promise that nobody here can keep.
 */
export function judgePublish(
  rights: Rights,
  packet: Publish,
  publish_bytes_max: number,
): PublishVerdict {
  const target = rights.publish.get(packet.topic);
  if (target === undefined) return { verdict: 'refused', reason: 'topic' };
  const row = TOPICS[target.name];
  if (packet.qos !== row.qos) return { verdict: 'refused', reason: 'qos' };
  if (packet.retain !== row.retain) return { verdict: 'refused', reason: 'retain' };
  const bytes_max = target.name === 'state' ? STATE_BYTES_MAX : publish_bytes_max;
  if (packet.payload.length > bytes_max) return { verdict: 'refused', reason: 'size' };
  return target.name === 'state'
    ? { verdict: 'state' }
    : { verdict: 'uplink', stream: target.stream };
}
