/** Every MQTT topic of the system, as one table. Builders, parser and access rules are derived from it. */
import { parseStationCode, type StationCode } from './station-code.ts';

export const STREAMS = ['event', 'sample'] as const;
export type Stream = (typeof STREAMS)[number];

const ROOT = 'ws/1';

export const TOPICS = {
  uplink: { path: 'up/{stream}', direction: 'up', qos: 0, retain: false },
  ack: { path: 'ack', direction: 'down', qos: 0, retain: false },
  command: { path: 'cmd', direction: 'down', qos: 1, retain: false },
  state: { path: 'state', direction: 'up', qos: 1, retain: true },
} as const satisfies Record<
  string,
  { path: string; direction: 'up' | 'down'; qos: 0 | 1; retain: boolean }
>;

export type TopicName = keyof typeof TOPICS;
export type ParsedTopic =
  | { name: 'uplink'; station: StationCode; stream: Stream }
  | { name: 'ack' | 'command' | 'state'; station: StationCode };

export function uplinkTopic(station: StationCode, stream: Stream): string {
  return `${ROOT}/${station}/up/${stream}`;
}
export function ackTopic(station: StationCode): string {
  return `${ROOT}/${station}/${TOPICS.ack.path}`;
}
export function commandTopic(station: StationCode): string {
  return `${ROOT}/${station}/${TOPICS.command.path}`;
}
export function stateTopic(station: StationCode): string {
  return `${ROOT}/${station}/${TOPICS.state.path}`;
}

/** The topic's meaning, or `null` for anything that is not in the table (wildcards included). */
export function parseTopic(topic: string): ParsedTopic | null {
  const levels = topic.split('/');
  if (levels[0] !== 'ws' || levels[1] !== '1') return null;
  const station = parseStationCode(levels[2] ?? '');
  if (station === null) return null;
  const rest = levels.slice(3).join('/');
  for (const stream of STREAMS) {
    if (rest === TOPICS.uplink.path.replace('{stream}', stream))
      return { name: 'uplink', station, stream };
  }
  for (const name of ['ack', 'command', 'state'] as const) {
    if (rest === TOPICS[name].path) return { name, station };
  }
  return null;
}

/** May this station publish here? Deny by default: only its own topics, only upwards. */
export function mayPublish(station: StationCode, topic: string): boolean {
  const parsed = parseTopic(topic);
  return parsed !== null && parsed.station === station && TOPICS[parsed.name].direction === 'up';
}

/** May this station subscribe to this filter? Only its own exact downward topics, never a wildcard. */
export function maySubscribe(station: StationCode, filter: string): boolean {
  const parsed = parseTopic(filter);
  return parsed !== null && parsed.station === station && TOPICS[parsed.name].direction === 'down';
}

/**
 * What a gateway subscribes to at an external broker, shared within `group` for the uplink (MQTT 5, 4.8.2).
 * The state is not shared: each gateway sees every birth and death in order, and the retained ones when it
 * comes back; a shared subscription is never sent retained messages.
 */
export function gatewayFilters(group: string): string[] {
  const shared = `$share/${group}/`;
  return [...STREAMS.map((stream) => `${shared}${ROOT}/+/up/${stream}`), `${ROOT}/+/state`];
}

/** Access rules for a broker of Mosquitto's kind whose user name is the station code. `gateway_user` may do the other half. */
export function mosquittoAcl(gateway_user: string): string {
  const lines = [`user ${gateway_user}`];
  for (const topic of Object.values(TOPICS)) {
    const path = topic.path.replace('{stream}', '+');
    lines.push(`topic ${topic.direction === 'up' ? 'read' : 'write'} ${ROOT}/+/${path}`);
  }
  lines.push('');
  for (const topic of Object.values(TOPICS)) {
    const path = topic.path.replace('{stream}', '+');
    lines.push(`pattern ${topic.direction === 'up' ? 'write' : 'read'} ${ROOT}/%u/${path}`);
  }
  return `${lines.join('\n')}\n`;
}
