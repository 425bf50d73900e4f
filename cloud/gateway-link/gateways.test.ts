import { expect, it } from 'vitest';
import type { Command, Order } from '@waystation/protocol/commands';
import type { Delivery } from '@waystation/protocol/gateway-link';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { ORDERS_PER_GATEWAY_MAX } from './downlink.ts';
import { AWAY_AFTER_MS, createGateways } from './gateways.ts';

const STATION = stationCode('370811011', 'W', 1);
const OTHER = stationCode('370811011', 'W', 2);
const order = (id: string): Order => ({
  kind: 'open',
  id,
  nonce: '0123456789abcdef',
  issued_at: 0,
  deadline_at: 10_000,
  min_clock: 'holdover',
  actor: 'a',
  reason: 'test',
});
const keySet: Command = { kind: 'keySet', version: 2, body: 'AA==' };

function world() {
  const clock = fakeClock();
  const heard: string[] = [];
  const gateways = createGateways({
    clock,
    trustCommands: (need) => (need.keySet ? [keySet] : []),
    moved: (gateway) => heard.push(`moved ${gateway}`),
    opened: (gateway) => heard.push(`opened ${gateway}`),
    shut: (gateway) => heard.push(`shut ${gateway}`),
  });
  return { clock, heard, gateways };
}

/** `taking` false: the socket is full until `drain`. */
function stream(taking = true) {
  const got: Delivery[] = [];
  const state = { ended: false, drain: () => {} };
  return {
    got,
    state,
    ids: () => got.map(({ command }) => (command.kind === 'open' ? command.id : command.kind)),
    send(delivery: Delivery): Promise<boolean> {
      got.push(delivery);
      if (taking) return Promise.resolve(true);
      return new Promise((resolve) => (state.drain = () => resolve(true)));
    },
    end: () => void (state.ended = true),
  };
}
const settled = () => new Promise(setImmediate);

it('sends in order, orders before keys, one at a time', async () => {
  const { gateways } = world();
  const down = stream(false);
  gateways.connect('g1', down);
  gateways.need('g1', OTHER, { keySet: true, statusList: false });
  gateways.need('g1', STATION, { keySet: true, statusList: false });
  expect(gateways.order('g1', STATION, order('order-one'))).toBe(true);
  for (let sent = 0; sent < 3; sent += 1) {
    await settled();
    down.state.drain();
  }
  await settled();
  expect(down.ids()).toEqual(['keySet', 'order-one', 'keySet']);
  expect(gateways.counts).toMatchObject({ delivered: 3, waiting: 0, connected: 1 });
});

it('refuses an order for a gateway without a stream, and one too many', async () => {
  const { gateways } = world();
  expect(gateways.order('g1', STATION, order('order-one'))).toBe(false);
  gateways.connect('g1', stream(false));
  const taken = Array.from({ length: ORDERS_PER_GATEWAY_MAX + 2 }, () =>
    gateways.order('g1', STATION, order('order-one')),
  );
  expect(taken.filter(Boolean)).toHaveLength(ORDERS_PER_GATEWAY_MAX + 1);
  expect(gateways.counts.refused).toBe(2);
});

it('counts a gateway as away only when it does not dial again', async () => {
  const { gateways, heard, clock } = world();
  const closed = gateways.connect('g1', stream());
  closed();
  await clock.advance(AWAY_AFTER_MS - 1);
  expect(gateways.isHere('g1')).toBe(true);
  const closed_again = gateways.connect('g1', stream());
  await clock.advance(AWAY_AFTER_MS * 2);
  expect(heard).toEqual(['moved g1', 'opened g1', 'shut g1', 'opened g1']);
  closed_again();
  await clock.advance(AWAY_AFTER_MS);
  expect(gateways.isHere('g1')).toBe(false);
  expect(heard.at(-1)).toBe('moved g1');
});

it('ends a stream that fails', async () => {
  const { gateways } = world();
  const broken = stream();
  gateways.connect('g1', { ...broken, send: () => Promise.reject(new Error('gone')) });
  gateways.order('g1', STATION, order('order-one'));
  await settled();
  expect(broken.state.ended).toBe(true);
});

it('lets a newer stream take over, and goes on sending there', async () => {
  const { gateways } = world();
  const stuck = stream(false);
  const closed = gateways.connect('g1', stuck);
  gateways.order('g1', STATION, order('order-one'));
  await settled();
  const fresh = stream();
  gateways.connect('g1', fresh);
  closed();
  expect(stuck.state.ended).toBe(true);
  gateways.order('g1', STATION, order('order-two'));
  stuck.state.drain();
  gateways.order('g1', STATION, order('order-three'));
  await settled();
  gateways.order('g1', STATION, order('order-four'));
  await settled();
  expect(stuck.ids()).toEqual(['order-one']);
  expect(fresh.ids()).toEqual(['order-two', 'order-three', 'order-four']);
});

it('reaches the stations of a broker by any gateway of its group, and turns to another when one ends', async () => {
  const { gateways, heard, clock } = world();
  const [first, second, stranger] = [stream(), stream(), stream()];
  const first_closed = gateways.connect('g1', first, 'broker');
  gateways.connect('g2', second, 'broker');
  gateways.connect('g3', stranger);
  expect(gateways.order('broker', STATION, order('order-one'))).toBe(true);
  first_closed();
  expect(heard.at(-1)).toBe('opened broker'); // what the first took with it is ordered again
  expect(gateways.order('broker', STATION, order('order-two'))).toBe(true);
  await settled();
  expect([first.ids(), second.ids(), stranger.ids()]).toEqual([['order-one'], ['order-two'], []]);
  await clock.advance(AWAY_AFTER_MS);
  expect(gateways.isHere('broker')).toBe(true);
  expect(gateways.isHere('g1')).toBe(false);
});
