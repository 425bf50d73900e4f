/** The gateways that have dialled in: one stream down to each, what waits for it, and whether it is in touch. */
import type { Command, Order } from '@waystation/protocol/commands';
import type { Delivery } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';

/** A gateway that dials again within this time was never away: restarts of ours end and begin streams. */
export const AWAY_AFTER_MS = 10_000;
export const ORDERS_PER_GATEWAY_MAX = 1000;
const GATEWAYS_MAX = 1000;

export interface GatewayStream {
  /** Resolves when the socket has taken it; false: the stream is over. */
  send(delivery: Delivery): Promise<boolean>;
  end(): void;
}

/** What a station lacks of the keys and lists that the province published. */
export interface TrustNeed {
  keySet: boolean;
  statusList: boolean;
}

export interface Gateways {
  /** Is its stream open, or was it until a moment ago? */
  isHere(gateway: string): boolean;
  /** A newer stream of the same gateway ends the older one. Returns what to call when the stream is closed. Throws Fault TOO_MANY_REQUESTS. */
  connect(gateway: string, stream: GatewayStream): () => void;
  /** Queues an order; false: the gateway has no stream, or its queue is full. */
  order(gateway: string, station: StationCode, order: Order): boolean;
  /** Notes that a station needs newer trust; the commands are made when it is their turn. */
  need(gateway: string, station: StationCode, need: TrustNeed): void;
  close(): void;
  readonly counts: { connected: number; delivered: number; refused: number; waiting: number };
}

interface Gateway {
  stream: GatewayStream | null;
  /** Runs after the stream has closed, until the gateway counts as away. */
  leaving: Timer | null;
  orders: Delivery[];
  needs: Map<StationCode, TrustNeed>;
  /** The stream that a pump is serving now. */
  pumping: GatewayStream | null;
}

export function createGateways(parts: {
  clock: Clock;
  /** The newest signed bodies as commands. */
  trustCommands(need: TrustNeed): Command[];
  /** A gateway came, or went away. */
  moved(gateway: string): void;
  /** Its stream has opened: what still waits for its stations may be ordered again. */
  opened(gateway: string): void;
}): Gateways {
  const { clock } = parts;
  const gateways = new Map<string, Gateway>();
  const totals = { delivered: 0, refused: 0 };

  function gatewayOf(name: string): Gateway {
    let gateway = gateways.get(name);
    if (gateway === undefined) {
      if (gateways.size >= GATEWAYS_MAX)
        throw new Fault('TOO_MANY_REQUESTS', { problem: 'too many gateways' });
      gateway = { stream: null, leaving: null, orders: [], needs: new Map(), pumping: null };
      gateways.set(name, gateway);
    }
    return gateway;
  }

  /** Orders first: a person waits for them. */
  function takeNext(gateway: Gateway): Delivery[] {
    const order = gateway.orders.shift();
    if (order !== undefined) return [order];
    for (const [station, need] of gateway.needs) {
      gateway.needs.delete(station);
      return parts.trustCommands(need).map((command) => ({ station, command }));
    }
    return [];
  }

  async function pump(gateway: Gateway, stream: GatewayStream): Promise<void> {
    for (;;) {
      const deliveries = takeNext(gateway);
      if (deliveries.length === 0) return;
      for (const delivery of deliveries) {
        if (gateway.stream !== stream || !(await stream.send(delivery))) return;
        totals.delivered += 1;
      }
    }
  }

  function wake(gateway: Gateway): void {
    const { stream } = gateway;
    if (stream === null || gateway.pumping === stream) return;
    gateway.pumping = stream;
    void pump(gateway, stream).finally(() => {
      if (gateway.pumping === stream) gateway.pumping = null;
      // What came between the pump's last look and its end.
      if (gateway.stream === stream && gateway.orders.length + gateway.needs.size > 0)
        wake(gateway);
    });
  }

  function disconnect(name: string, gateway: Gateway, stream: GatewayStream): void {
    if (gateway.stream !== stream) return;
    gateway.stream = null;
    // Both are found again in the database when the gateway is back.
    gateway.orders = [];
    gateway.needs.clear();
    gateway.leaving = clock.after(AWAY_AFTER_MS, () => {
      gateways.delete(name);
      parts.moved(name);
    });
  }

  return {
    isHere: (name) => gateways.has(name),
    connect(name, stream) {
      const came = !gateways.has(name);
      const gateway = gatewayOf(name);
      gateway.stream?.end();
      gateway.leaving?.stop();
      Object.assign(gateway, { stream, leaving: null, orders: [] });
      if (came) parts.moved(name);
      parts.opened(name);
      return () => disconnect(name, gateway, stream);
    },
    order(name, station, order) {
      const gateway = gateways.get(name);
      if (!gateway?.stream || gateway.orders.length >= ORDERS_PER_GATEWAY_MAX) {
        totals.refused += 1;
        return false;
      }
      gateway.orders.push({ station, command: order });
      wake(gateway);
      return true;
    },
    need(name, station, need) {
      const gateway = gateways.get(name);
      if (!gateway?.stream) return;
      const known = gateway.needs.get(station);
      gateway.needs.set(station, {
        keySet: need.keySet || known?.keySet === true,
        statusList: need.statusList || known?.statusList === true,
      });
      wake(gateway);
    },
    close() {
      for (const gateway of gateways.values()) {
        gateway.leaving?.stop();
        gateway.stream?.end();
      }
    },
    get counts() {
      const all = [...gateways.values()];
      return {
        ...totals,
        connected: all.filter(({ stream }) => stream !== null).length,
        waiting: all.reduce((sum, { orders, needs }) => sum + orders.length + needs.size, 0),
      };
    },
  };
}
