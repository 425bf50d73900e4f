/** Collects uplink messages into posts to the cloud, a few in flight, and hands back the acknowledgements. */
import type { Ack } from '@waystation/protocol/uplink';
import type { UplinkAnswer } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { Clock, Timer } from '@waystation/runtime/clock';
import type { Breaker } from './breaker.ts';
import type { Counters } from './metrics.ts';
import { createUplinkQueue, type Batch, type QueueLimits } from './uplink-queue.ts';

export interface BatcherOptions {
  limits: QueueLimits & { linger_ms: number; posts_in_flight_max: number };
  clock: Clock;
  counters: Counters;
  breaker: Breaker;
  /** Rejects when it is not known that the cloud has committed the batch. */
  post(body: Uint8Array): Promise<UplinkAnswer>;
  /** Called only with what the cloud has committed. */
  onAck(station: StationCode, ack: Ack): void;
  outage: { failed(cause: unknown): void; worked(): void };
}

export interface Batcher {
  /** Takes the message or drops it, counted; the station sends it again when no acknowledgement comes. */
  offer(station: StationCode, stream: Stream, topic: string, payload: Uint8Array): void;
  /** Takes nothing more and waits for the posts in flight. */
  stop(): Promise<void>;
  readonly pending_bytes: number;
  readonly posts_in_flight: number;
}

/** The frames of protocol/gateway-link.ts; topics of the table are ASCII. */
export function encodeBatch(messages: Batch['messages']): Uint8Array {
  let total = 0;
  for (const { topic, payload } of messages) total += 6 + topic.length + payload.length;
  const body = Buffer.allocUnsafe(total);
  let at = 0;
  for (const { topic, payload } of messages) {
    at = body.writeUInt16BE(topic.length, at);
    at += body.write(topic, at, 'latin1');
    at = body.writeUInt32BE(payload.length, at);
    body.set(payload, at);
    at += payload.length;
  }
  return body;
}

export function createBatcher(options: BatcherOptions): Batcher {
  const { limits, clock, counters, breaker } = options;
  const queue = createUplinkQueue(limits);
  const posts = new Set<Promise<void>>();
  let linger: Timer | null = null;
  let stopping = false;

  const postsAllowed = () => (breaker.state === 'closed' ? limits.posts_in_flight_max : 1);
  /** One post more is kept for events: it is not taken while the cloud is doubtful. */
  const mayPost = () => {
    if (posts.size < postsAllowed()) return 'all';
    const spare = breaker.state === 'closed' && posts.size === postsAllowed();
    return spare && queue.events_wait ? 'events' : null;
  };

  /** Posts what may go now. A batch goes when it is full or when its first message has waited long enough. */
  function pump(due: boolean): void {
    for (let may = mayPost(); may !== null && queue.waiting > 0; may = mayPost()) {
      if (!due && (may === 'events' || !queue.full)) break;
      const batch = queue.take(may === 'events' ? 'events' : undefined);
      if (batch === null) return;
      const post = send(batch).finally(() => {
        posts.delete(post);
        // Without a timer running, what waits has waited for this post.
        pump(linger === null);
      });
      posts.add(post);
    }
    if (queue.waiting > 0 && linger === null && mayPost() !== null) {
      linger = clock.after(limits.linger_ms, () => {
        linger = null;
        pump(true);
      });
    }
  }

  async function send(batch: Batch): Promise<void> {
    const began_at = clock.mono();
    try {
      const answer = await options.post(encodeBatch(batch.messages));
      counters.posts += 1;
      counters.post_ms += clock.mono() - began_at;
      breaker.succeeded();
      options.outage.worked();
      for (const { station, ack } of answer.acks) options.onAck(station, ack);
    } catch (cause) {
      counters.posts_failed += 1;
      counters.dropped_post_failed += batch.messages.length;
      breaker.failed(clock.mono());
      options.outage.failed(cause);
      // Their stations will repeat them: kept here they would only arrive twice.
      if (breaker.state === 'open') counters.dropped_cloud_away += queue.discard();
    } finally {
      queue.settle(batch);
    }
  }

  return {
    offer(station, stream, topic, payload) {
      if (stopping || (breaker.state !== 'closed' && breaker.wait_ms(clock.mono()) > 0)) {
        counters.dropped_cloud_away += 1;
        return;
      }
      if (!queue.offer(station, stream, topic, payload)) {
        if (stream === 'event') counters.dropped_overflow_event += 1;
        else counters.dropped_overflow_sample += 1;
        return;
      }
      counters.uplink_messages += 1;
      counters.uplink_bytes += payload.length;
      if (linger === null || queue.full) pump(false);
    },
    async stop() {
      stopping = true;
      linger?.stop();
      counters.dropped_cloud_away += queue.discard();
      await Promise.allSettled(posts);
    },
    get pending_bytes() {
      return queue.pending_bytes;
    },
    get posts_in_flight() {
      return posts.size;
    },
  };
}
