/** What the parts of the cloud count, as Prometheus names. */
import type { Gateways } from '../gateway-link/gateways.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Exchange } from '../peers/exchange.ts';
import type { TelemetryFeed } from '../telemetry/feed.ts';
import type { Reading } from './metrics.ts';

export interface PresenceCounts {
  taken: number;
  late: number;
  strangers: number;
}

function counter(name: string, help: string, read: () => number): Reading {
  return { name: `waystation_${name}_total`, help, kind: 'counter', read };
}

function gauge(name: string, help: string, read: () => number): Reading {
  return { name: `waystation_${name}`, help, kind: 'gauge', read };
}

export function cloudReadings(parts: {
  ingest: Pick<Ingest, 'counts' | 'waiting'>;
  feed: Pick<TelemetryFeed, 'status'>;
  hub: Pick<LiveHub, 'counts'>;
  gateways: Pick<Gateways, 'counts'>;
  presence: PresenceCounts;
  peers: Pick<Exchange, 'counts'>;
}): Reading[] {
  const { ingest, feed, hub, gateways, presence, peers } = parts;
  return [
    gauge('peers', 'Other clouds on this database', () => peers.counts.neighbours),
    counter('peers_told', 'Bulletins to other clouds', () => peers.counts.told),
    counter('peers_heard', 'Bulletins of other clouds', () => peers.counts.heard),
    counter(
      'peers_overflows',
      'Bulletins that had to say: everything',
      () => peers.counts.overflows,
    ),
    counter('peers_anew', 'Times everything was read anew', () => peers.counts.anew),
    counter('ingest_messages', 'Uplink messages received', () => ingest.counts.messages),
    counter('ingest_records', 'Records committed', () => ingest.counts.records),
    counter('ingest_batches', 'Transactions committed', () => ingest.counts.batches),
    counter('ingest_known', 'Messages that were committed before', () => ingest.counts.known),
    counter('ingest_gaps', 'Messages that did not continue their cursor', () => ingest.counts.gaps),
    counter('ingest_forks', 'Messages of another history', () => ingest.counts.forks),
    counter('ingest_refused', 'Messages refused', () => ingest.counts.refused),
    counter('ingest_poison', 'Records set aside as dead letters', () => ingest.counts.poison),
    counter('ingest_unreadable', 'Messages that could not be read', () => ingest.counts.unreadable),
    counter(
      'ingest_failed_batches',
      'Transactions that failed',
      () => ingest.counts.failed_batches,
    ),
    counter(
      'ingest_held_back',
      'Messages left at their stations: no room',
      () => ingest.counts.held_back,
    ),
    gauge('ingest_waiting', 'Messages in the queue', () => ingest.waiting()),
    gauge('telemetry_available', '1: the telemetry store answers', () =>
      Number(feed.status().available),
    ),
    gauge(
      'telemetry_backlog_points',
      'Points that wait for the store',
      () => feed.status().backlog_points,
    ),
    counter(
      'telemetry_replayed_points',
      'Points brought in later',
      () => feed.status().replayed_points,
    ),
    gauge('live_connections', 'Open pages', () => hub.counts.connections),
    counter('live_messages', 'Live messages', () => hub.counts.published),
    counter(
      'live_dropped_slow',
      'Pages let go because they were too slow',
      () => hub.counts.dropped_slow,
    ),
    counter('live_refused', 'Pages refused: too many', () => hub.counts.refused),
    gauge('gateways_connected', 'Gateways with an open stream', () => gateways.counts.connected),
    gauge('gateway_queue', 'Commands that wait for a gateway', () => gateways.counts.waiting),
    counter('gateway_deliveries', 'Commands handed to gateways', () => gateways.counts.delivered),
    counter('gateway_refused', 'Commands no gateway could take', () => gateways.counts.refused),
    counter('presence_taken', 'Births and deaths taken', () => presence.taken),
    counter('presence_late', 'Births and deaths of earlier sessions', () => presence.late),
    counter(
      'presence_strangers',
      'Births and deaths of unknown stations',
      () => presence.strangers,
    ),
  ];
}
