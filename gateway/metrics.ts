/** What a gateway counts, as one table, and the Prometheus text of it (exposition format 0.0.4). */

/** key → metric, label, help. Metrics with several labels share name and help. */
const COUNTERS = {
  connections: ['connections_total', '', 'TCP and TLS connections accepted.'],
  sessions: ['sessions_total', '', 'MQTT sessions authenticated.'],
  takeovers: ['takeovers_total', '', 'Sessions ended because the same station connected again.'],
  refused_connection_limit: ['refused_total', 'reason="connection_limit"', 'Refusals by reason.'],
  refused_accept: ['refused_total', 'reason="accept"', 'Refusals by reason.'],
  refused_connect_timeout: ['refused_total', 'reason="connect_timeout"', 'Refusals by reason.'],
  refused_turn: ['refused_total', 'reason="turn"', 'Refusals by reason.'],
  refused_handshake: ['refused_total', 'reason="handshake"', 'Refusals by reason.'],
  refused_credential: ['refused_total', 'reason="credential"', 'Refusals by reason.'],
  refused_certificate: ['refused_total', 'reason="certificate"', 'Refusals by reason.'],
  refused_will: ['refused_total', 'reason="will"', 'Refusals by reason.'],
  refused_publish: ['refused_total', 'reason="publish"', 'Refusals by reason.'],
  refused_subscribe: ['refused_total', 'reason="subscribe"', 'Refusals by reason.'],
  refused_size: ['refused_total', 'reason="size"', 'Refusals by reason.'],
  refused_protocol: ['refused_total', 'reason="protocol"', 'Refusals by reason.'],
  refused_control_rate: ['refused_total', 'reason="control_rate"', 'Refusals by reason.'],
  slow_consumers: ['slow_consumers_total', '', 'Connections ended because they did not read.'],
  throttled: ['throttled_total', '', 'Times a station over its rate was made to wait.'],
  uplink_messages: ['uplink_messages_total', '', 'Uplink messages taken into a batch.'],
  uplink_bytes: ['uplink_bytes_total', '', 'Payload bytes of those messages.'],
  dropped_overflow_event: [
    'uplink_dropped_total',
    'reason="overflow",stream="event"',
    'Messages not taken; stations send them again.',
  ],
  dropped_overflow_sample: [
    'uplink_dropped_total',
    'reason="overflow",stream="sample"',
    'Messages not taken; stations send them again.',
  ],
  dropped_cloud_away: [
    'uplink_dropped_total',
    'reason="cloud_away"',
    'Messages not taken; stations send them again.',
  ],
  dropped_post_failed: [
    'uplink_dropped_total',
    'reason="post_failed"',
    'Messages not taken; stations send them again.',
  ],
  dropped_malformed: [
    'uplink_dropped_total',
    'reason="malformed"',
    'Messages not taken; stations send them again.',
  ],
  posts: ['posts_total', 'result="committed"', 'Batches posted to the cloud.'],
  posts_failed: ['posts_total', 'result="failed"', 'Batches posted to the cloud.'],
  post_ms: [
    'post_milliseconds_total',
    '',
    'Time spent waiting for the cloud, summed over committed batches.',
  ],
  acks: [
    'acks_total',
    'result="sent"',
    'Acknowledgements of the cloud, handed to the connection of their station.',
  ],
  acks_undeliverable: [
    'acks_total',
    'result="station_away"',
    'Acknowledgements of the cloud, handed to the connection of their station.',
  ],
  commands: ['commands_total', 'result="sent"', 'Commands from the cloud.'],
  commands_undeliverable: ['commands_total', 'result="station_away"', 'Commands from the cloud.'],
  commands_malformed: ['commands_total', 'result="malformed"', 'Commands from the cloud.'],
  command_stream_opened: [
    'command_stream_opened_total',
    '',
    'Times the command stream was opened.',
  ],
  presence_changes: [
    'presence_changes_total',
    'result="kept"',
    'Births and deaths of station sessions.',
  ],
  presence_ignored: [
    'presence_changes_total',
    'result="ignored"',
    'Births and deaths of station sessions.',
  ],
  presence_malformed: [
    'presence_changes_total',
    'result="malformed"',
    'Births and deaths of station sessions.',
  ],
  presence_overflow: [
    'presence_changes_total',
    'result="overflow"',
    'Births and deaths of station sessions.',
  ],
  presence_reports: [
    'presence_reports_total',
    'result="accepted"',
    'Presence reports to the cloud.',
  ],
  presence_reports_failed: [
    'presence_reports_total',
    'result="failed"',
    'Presence reports to the cloud.',
  ],
  broker_connections: ['broker_connections_total', '', 'Connections made to the external broker.'],
} as const satisfies Record<string, readonly [metric: string, label: string, help: string]>;

/** Measured when asked for. */
const GAUGES = {
  connections: 'Open connections.',
  connections_waiting: 'Of those, how many wait for their turn to be greeted.',
  stations_online: 'Stations whose last word here was a birth.',
  presence_unreported: 'Presence changes the cloud has not accepted yet.',
  pending_bytes: 'Uplink waiting for the cloud or in flight to it.',
  posts_in_flight: 'Batches the cloud has not answered yet.',
} as const;

export type Counters = Record<keyof typeof COUNTERS, number>;
export type Gauges = Record<keyof typeof GAUGES, number>;

const PREFIX = 'waystation_gateway_';

export function createCounters(): Counters {
  return Object.fromEntries(Object.keys(COUNTERS).map((key) => [key, 0])) as Counters;
}

/** The page a Prometheus server scrapes. */
export function prometheusText(counters: Counters, gauges: Gauges): string {
  const lines: string[] = [];
  let previous = '';
  for (const [key, [metric, label, help]] of Object.entries(COUNTERS)) {
    const name = PREFIX + metric;
    if (name !== previous) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} counter`);
    previous = name;
    lines.push(`${name}${label ? `{${label}}` : ''} ${counters[key as keyof Counters]}`);
  }
  for (const [gauge, help] of Object.entries(GAUGES)) {
    const name = PREFIX + gauge;
    const value = gauges[gauge as keyof Gauges];
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
