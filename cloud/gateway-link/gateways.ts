/** The gateways that have dialled in, and whether each is in touch. */
import type { Command, Order } from '@waystation/protocol/commands';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { createDownlink, type Downlink, type GatewayStream, type TrustNeed } from './downlink.ts';

/** A gateway that dials again within this time was never away: restarts of ours end and begin streams. */
export const AWAY_AFTER_MS = 10_000;
const GATEWAYS_MAX = 1000;

export interface Gateways {
  /** Is a stream of this gateway or group open, or was it until a moment ago? */
  isHere(gateway: string): boolean;
  /** Is a stream to these stations open now? */
  isOpen(gateway: string): boolean;
  /** All that are here, each once. */
  reaches(): string[];
  /**
   * `group`: its stations are reached by every gateway of this name. Returns what to call when the stream is closed.
   * Throws Fault TOO_MANY_REQUESTS.
   */
  connect(gateway: string, stream: GatewayStream, group?: string): () => void;
  /** Queues an order; false: the gateway has no stream, or its queue is full. */
  order(gateway: string, station: StationCode, order: Order): boolean;
  /** Notes that a station needs newer trust. */
  need(gateway: string, station: StationCode, need: TrustNeed): void;
  close(): void;
  readonly counts: { connected: number; delivered: number; refused: number; waiting: number };
}

interface Gateway {
  /** What its stations are known under: its group, or itself. */
  reach: string;
  downlink: Downlink;
  /** Runs after the stream has closed, until the gateway counts as away. */
  leaving: Timer | null;
}

export function createGateways(parts: {
  clock: Clock;
  /** The newest signed bodies as commands. */
  trustCommands: (need: TrustNeed) => Command[];
  /** A gateway or group came, or went away. */
  moved: (gateway: string) => void;
  /** A stream to these stations has opened, or one of several has ended: what still waits may be ordered again. */
  opened: (gateway: string) => void;
  /** The last stream to these stations has ended; perhaps another cloud has one. */
  shut: (gateway: string) => void;
}): Gateways {
  const { clock, trustCommands, moved, opened, shut } = parts;
  const gateways = new Map<string, Gateway>();
  const totals = { delivered: 0, refused: 0 };
  const delivered = () => void (totals.delivered += 1);

  function arrive(name: string, reach: string): Gateway {
    if (gateways.size >= GATEWAYS_MAX) {
      throw new Fault('TOO_MANY_REQUESTS', { problem: 'too many gateways' });
    }
    const gateway: Gateway = {
      reach,
      downlink: createDownlink({ trustCommands, delivered }),
      leaving: null,
    };
    gateways.set(name, gateway);
    moved(reach);
    return gateway;
  }
  function leave(name: string, gateway: Gateway, stream: GatewayStream): void {
    if (!gateway.downlink.shut(stream)) return;
    gateway.leaving = clock.after(AWAY_AFTER_MS, () => {
      gateways.delete(name);
      moved(gateway.reach);
    });
    if (wayTo(gateway.reach) !== undefined) opened(gateway.reach);
    else shut(gateway.reach);
  }
  const reaching = (reach: string): Gateway[] =>
    [...gateways.values()].filter((gateway) => gateway.reach === reach);
  /** The open way to these stations; of several that of the gateway which came first. */
  const wayTo = (reach: string): Downlink | undefined =>
    reaching(reach).find(({ downlink }) => downlink.isOpen)?.downlink;

  return {
    isHere: (reach) => reaching(reach).length > 0,
    isOpen: (reach) => wayTo(reach) !== undefined,
    reaches: () => [...new Set([...gateways.values()].map(({ reach }) => reach))],
    connect(name, stream, group) {
      const gateway = gateways.get(name) ?? arrive(name, group ?? name);
      gateway.leaving?.stop();
      gateway.downlink.open(stream);
      opened(gateway.reach);
      return () => leave(name, gateway, stream);
    },
    order(reach, station, order) {
      const taken = wayTo(reach)?.order(station, order) ?? false;
      if (!taken) totals.refused += 1;
      return taken;
    },
    need: (reach, station, need) => wayTo(reach)?.need(station, need),
    close() {
      for (const { leaving, downlink } of gateways.values()) {
        leaving?.stop();
        downlink.end();
      }
    },
    get counts() {
      const all = [...gateways.values()].map(({ downlink }) => downlink);
      return {
        ...totals,
        connected: all.filter(({ isOpen }) => isOpen).length,
        waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
      };
    },
  };
}
