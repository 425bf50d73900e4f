import { expect, it } from 'vitest';
import type { EventLine, LiveMessage } from '@waystation/protocol/api';
import { stationCode } from '@waystation/protocol/station-code';
import { createDirectory, type DirectoryEntry } from '../stations/directory.ts';
import { createLiveHub, type HubOptions, type LiveConnection } from './hub.ts';

const entry = (number: number, path: string): DirectoryEntry => ({
  id: number,
  code: stationCode('370811011', 'W', number),
  name: `站${number}`,
  kind: 'W',
  lifecycle: 'active',
  longitude: 116,
  latitude: 35,
  county: '370811',
  path,
});
const directory = createDirectory([entry(1, '1.2.3'), entry(2, '1.2.4'), entry(3, '1.20.5')]);

function event(number: number, path: string) {
  const line: EventLine = {
    station: stationCode('370811011', 'W', number),
    epoch: '0123456789ab',
    seq: number,
    kind: 'door',
    at: 1,
    received_at: 2,
    clock: 'synced',
    summary: {},
  };
  return { type: 'event', path, event: line } as const;
}

function hubWith(change: Partial<HubOptions> = {}) {
  return createLiveHub({
    directory,
    now: () => 7,
    version: 'v',
    first_sequence: 100,
    kept_max: 3,
    connections_max: 2,
    pending_bytes_max: 1000,
    ...change,
  });
}

function page(path: string, pending = () => 0) {
  const got: { id?: number; data: LiveMessage }[] = [];
  const state = { dropped: false };
  const connection: LiveConnection = {
    path,
    send: (message) => void got.push(message),
    sendText: (id, json) => void got.push({ id, data: JSON.parse(json) as LiveMessage }),
    pendingBytes: pending,
    drop: () => void (state.dropped = true),
  };
  return { connection, got, state, ids: () => got.map(({ id }) => id) };
}

it('greets, and numbers what follows', () => {
  const hub = hubWith();
  const { connection, got } = page('1');
  hub.join(connection, null);
  hub.publish(event(1, '1.2.3'));
  expect(got[0]).toEqual({
    id: 100,
    data: { type: 'hello', sequence: 100, server_at: 7, version: 'v' },
  });
  expect(got[1]).toMatchObject({ id: 101, data: { type: 'event' } });
});

it('shows each account its own subtree only, by its own index', () => {
  const hub = hubWith();
  const county = page('1.2.4');
  const neighbour = page('1.20');
  hub.join(county.connection, null);
  hub.join(neighbour.connection, null);
  hub.publish({
    type: 'states',
    changes: [
      [0, 5],
      [1, 4],
    ],
  });
  hub.publish(event(1, '1.2.3'));
  hub.publish(event(3, '1.20.5'));
  expect(county.got.slice(1)).toEqual([{ id: 101, data: { type: 'states', changes: [[0, 4]] } }]);
  expect(neighbour.ids()).toEqual([100, 103]);
});

it('replays exactly what was missed, and greets without a number before it', () => {
  const hub = hubWith();
  for (let number = 1; number <= 3; number += 1) hub.publish(event(number, '1.2.3'));
  const { connection, got, ids } = page('1');
  hub.join(connection, 101);
  hub.publish(event(1, '1.2.3'));
  expect(got[0]?.data.type).toBe('hello');
  expect(ids()).toEqual([undefined, 102, 103, 104]);
});

it('sends for everything again when the number is too old, or from another life', () => {
  const hub = hubWith();
  for (let number = 1; number <= 5; number += 1) hub.publish(event(number, '1.2.3'));
  const old = page('1');
  const foreign = page('1');
  hub.join(old.connection, 101);
  hub.join(foreign.connection, 5000);
  expect(old.got[1]).toEqual({ id: 105, data: { type: 'resync' } });
  expect(foreign.got[1]).toEqual({ id: 105, data: { type: 'resync' } });
});

it('lets go of a page that does not take its messages, and counts it', () => {
  const hub = hubWith();
  const slow = page('1', () => 1001);
  const quick = page('1');
  hub.join(slow.connection, null);
  hub.join(quick.connection, null);
  hub.publish(event(1, '1.2.3'));
  hub.publish(event(1, '1.2.3'));
  expect(slow.state.dropped).toBe(true);
  expect(slow.ids()).toEqual([100, 101]);
  expect(quick.ids()).toEqual([100, 101, 102]);
  expect(hub.counts).toMatchObject({ connections: 1, dropped_slow: 1 });
});

it('refuses one page too many', () => {
  const hub = hubWith();
  expect(
    [page('1'), page('1'), page('1')].map(({ connection }) => hub.join(connection, null)),
  ).toEqual([true, true, false]);
  expect(hub.counts).toMatchObject({ connections: 2, refused: 1 });
});
