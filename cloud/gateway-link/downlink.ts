/** The way down to one gateway: what waits for it, and the pump that hands it to the open stream, one at a time. */
import type { Command, Order } from '@waystation/protocol/commands';
import type { Delivery } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';

export const ORDERS_PER_GATEWAY_MAX = 1000;

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

export interface Downlink {
  readonly isOpen: boolean;
  /** Orders and needs that wait; a station has at most one need. */
  readonly waiting: number;
  /** A newer stream ends the older one. */
  open(stream: GatewayStream): void;
  /** False: this stream was replaced already. What waited is forgotten: the database knows it. */
  shut(stream: GatewayStream): boolean;
  /** False: no stream, or the queue is full. */
  order(station: StationCode, order: Order): boolean;
  need(station: StationCode, need: TrustNeed): void;
  end(): void;
}

export function createDownlink(parts: {
  trustCommands: (need: TrustNeed) => Command[];
  delivered: () => void;
}): Downlink {
  let stream: GatewayStream | null = null;
  /** The stream that a pump is serving now. */
  let pumping: GatewayStream | null = null;
  let orders: Delivery[] = [];
  const needs = new Map<StationCode, TrustNeed>();

  /** Orders first: a person waits for them. Trust is turned into commands when it is its turn, so it is the newest. */
  function takeNext(): Delivery[] {
    const order = orders.shift();
    if (order !== undefined) return [order];
    for (const [station, need] of needs) {
      needs.delete(station);
      return parts.trustCommands(need).map((command) => ({ station, command }));
    }
    return [];
  }
  /** Ends in the same turn in which it finds nothing, so that no order comes between its last look and its end. */
  async function pump(to: GatewayStream): Promise<void> {
    pumping = to;
    const goesOn = () => stream === to && orders.length + needs.size > 0;
    while (goesOn()) {
      for (const delivery of takeNext()) {
        if (!(await to.send(delivery))) return;
        parts.delivered();
      }
    }
    if (pumping === to) pumping = null;
  }
  function wake(): void {
    const to = stream;
    // A stream that fails is ended: the gateway dials again, and what waited is found in the database.
    if (to !== null && pumping !== to) pump(to).catch(() => to.end());
  }

  return {
    get isOpen() {
      return stream !== null;
    },
    get waiting() {
      return orders.length + needs.size;
    },
    open(next) {
      stream?.end();
      stream = next;
      orders = [];
    },
    shut(ended) {
      if (stream !== ended) return false;
      stream = null;
      orders = [];
      needs.clear();
      return true;
    },
    order(station, order) {
      if (stream === null || orders.length >= ORDERS_PER_GATEWAY_MAX) return false;
      orders.push({ station, command: order });
      wake();
      return true;
    },
    need(station, need) {
      if (stream === null) return;
      const known = needs.get(station);
      needs.set(station, {
        keySet: need.keySet || known?.keySet === true,
        statusList: need.statusList || known?.statusList === true,
      });
      wake();
    },
    end: () => stream?.end(),
  };
}
