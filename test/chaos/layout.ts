/** How large a world is, and the names of everything in it. */
import type { Roster } from './plan.ts';

export interface WorldSize {
  /** Stations behind the external broker. */
  broker_stations: number;
  /** Stations behind the gateway with a door of its own. */
  door_stations: number;
  broker_gateways: number;
  clouds: number;
}

export const FULL_SIZE: WorldSize = {
  broker_stations: 3,
  door_stations: 1,
  broker_gateways: 2,
  clouds: 1,
};
export const SMALL_SIZE: WorldSize = {
  broker_stations: 1,
  door_stations: 1,
  broker_gateways: 1,
  clouds: 1,
};

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, at) => `${name}-${at + 1}`);

export interface Names {
  broker_edges: readonly string[];
  door_edges: readonly string[];
  broker_gateways: readonly string[];
  door_gateway: string;
  clouds: readonly string[];
}

export function namesOf(size: WorldSize): Names {
  const edges = numbered('edge', size.broker_stations + size.door_stations);
  return {
    broker_edges: edges.slice(0, size.broker_stations),
    door_edges: edges.slice(size.broker_stations),
    broker_gateways: numbered('gateway', size.broker_gateways),
    door_gateway: 'gateway-door',
    clouds: numbered('cloud', size.clouds),
  };
}

export function rosterOf(size: WorldSize): Roster {
  const { broker_edges, door_edges, broker_gateways, door_gateway, clouds } = namesOf(size);
  const edges = [...broker_edges, ...door_edges];
  const gateways = [...broker_gateways, door_gateway];
  return {
    processes: [...edges, ...gateways, ...clouds, 'postgres', 'influxd', 'mosquitto'],
    disks: [...edges, 'postgres', 'influxd'],
    edges,
    arrows: [
      ...broker_edges.map((edge) => `${edge}>mosquitto`),
      ...door_edges.map((edge) => `${edge}>${door_gateway}`),
      ...broker_gateways.map((gateway) => `${gateway}>mosquitto`),
      ...gateways.map((gateway) => `${gateway}>cloud`),
      ...clouds.flatMap((cloud) => [`${cloud}>postgres`, `${cloud}>influxd`]),
    ],
  };
}
