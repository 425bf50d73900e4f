import { afterEach, expect, test } from 'vitest';
import { uplinkTopic } from '@waystation/protocol/topics';
import { UPLINK_BYTES_MAX } from '@waystation/protocol/uplink';
import {
  bareSocket,
  birth,
  connectStation,
  honest,
  startTestBed,
  station,
  tryConnect,
  uplinkPayload,
  type TestBed,
  type TestStation,
} from './harness.ts';

const MINE = station(1);
let bed: TestBed;
const url = () => `mqtt://127.0.0.1:${bed.mqtt_port}`;
const counters = () => bed.gateway.counters;

afterEach(() => bed.close());

test('a payload over the limit ends the connection before it is collected', async () => {
  bed = await startTestBed();
  const here = await connectStation(url(), MINE);
  here.client.on('error', () => {});
  here.client.publish(uplinkTopic(MINE, 'event'), 'x'.repeat(UPLINK_BYTES_MAX), { qos: 0 });
  await expect.poll(() => counters().uplink_messages).toBe(1);
  here.client.publish(uplinkTopic(MINE, 'event'), 'x'.repeat(UPLINK_BYTES_MAX + 1), { qos: 0 });
  await here.closed;
  expect(counters().refused_publish).toBe(1);
  const again = await connectStation(url(), MINE);
  again.client.on('error', () => {});
  again.client.publish(uplinkTopic(MINE, 'event'), 'x'.repeat(200_000), { qos: 0 });
  await again.closed;
  expect(counters().refused_size).toBe(1);
});

test.each([
  [
    'a publish of 256 MB, announced before CONNECT',
    [0x30, 0xff, 0xff, 0xff, 0x7f],
    'refused_protocol',
  ],
  ['a CONNECT of 256 MB', [0x10, 0xff, 0xff, 0xff, 0x7f], 'refused_protocol'],
  ['a TLS handshake on the plain port', [0x16, 3, 1, 2, 0], 'refused_protocol'],
  ['HTTP', [...Buffer.from('GET / HTTP/1.1\r\n\r\n')], 'refused_protocol'],
] as const)('%s ends the connection at once', async (_name, bytes, counter) => {
  bed = await startTestBed();
  const { socket, ended } = await bareSocket(bed.mqtt_port);
  socket.write(Buffer.from(bytes));
  await ended;
  expect(counters()[counter]).toBe(1);
});

test('a connection that is slow to say CONNECT is ended', async () => {
  bed = await startTestBed({ limits: { connect_timeout_ms: 200 } });
  const { socket, ended } = await bareSocket(bed.mqtt_port);
  socket.write(Buffer.from([0x10, 0x20, 0x00]));
  await ended;
  expect(counters().refused_connect_timeout).toBe(1);
  const here = await connectStation(url(), MINE);
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
});

test('a station over its rate is read more slowly, loses nothing, and its neighbour does not wait', async () => {
  bed = await startTestBed({ limits: { messages_per_s: 1_500 } });
  const loud = await connectStation(url(), MINE);
  const quiet = await connectStation(url(), station(2));
  for (let seq = 1; seq <= 6_000; seq += 1) loud.send('event', seq);
  await expect.poll(() => counters().throttled).toBeGreaterThan(0);
  quiet.send('event', 1);
  await expect.poll(() => quiet.acks).toHaveLength(1);
  expect(bed.cloud.cursors.get(`${MINE}/event`)?.through ?? 0).toBeLessThan(6_000);
  await expect.poll(() => loud.acks.at(-1)?.through, { timeout: 10_000 }).toBe(6_000);
  expect(bed.cloud.gaps).toBe(0);
});

test('a flood of packets that are no publishes ends the connection', async () => {
  bed = await startTestBed();
  const here = await connectStation(url(), MINE);
  const pings = Buffer.alloc(2_000);
  for (let at = 0; at < pings.length; at += 2) pings[at] = 0xc0;
  here.client.stream.write(pings);
  await here.closed;
  expect(counters().refused_control_rate).toBe(1);
});

test('one connection more than the limit is refused, and one that ends makes room', async () => {
  bed = await startTestBed({ limits: { connections_max: 2 } });
  const first = await connectStation(url(), station(1));
  const second = await connectStation(url(), station(2));
  expect(await tryConnect(url(), honest(station(3)))).toBeTypeOf('string');
  expect(counters().refused_connection_limit).toBe(1);
  first.cut();
  await first.closed;
  await expect
    .poll(async () => typeof (await tryConnect(url(), honest(station(3)))))
    .toBe('object');
  second.send('event', 1);
  await expect.poll(() => second.acks).toHaveLength(1);
});

test.each([0, 3_600])(
  'with a keep-alive of %i s a dead line is found all the same',
  async (keepalive) => {
    bed = await startTestBed({ limits: { keepalive_max_s: 5 } });
    const options = { ...honest(MINE), keepalive, reschedulePings: false };
    const here = await connectStation(url(), MINE, options);
    await here.closed;
    expect(counters().sessions).toBe(1);
  },
);

test('a station that does not read what it is sent is let go', async () => {
  bed = await startTestBed({ limits: { unread_bytes_max: 64 * 1024 } });
  const here = await connectStation(url(), MINE);
  here.client.stream.pause();
  const body = 'A'.repeat(400 * 1024);
  for (let version = 1; version <= 60; version += 1) {
    bed.cloud.send({ station: MINE, command: { kind: 'statusList', version, body } });
  }
  await expect.poll(() => counters().slow_consumers, { timeout: 10_000 }).toBe(1);
  here.client.end(true);
});

test('when memory for the cloud runs out, messages are dropped, counted and never acknowledged', async () => {
  bed = await startTestBed({ limits: { pending_bytes_max: 1024 * 1024 } });
  const release = Promise.withResolvers<void>();
  bed.cloud.hold = release.promise;
  const here = await connectStation(url(), MINE);
  for (let seq = 1; seq <= 40; seq += 1) {
    here.client.publish(uplinkTopic(MINE, 'sample'), uplinkPayload(seq).padEnd(60_000), { qos: 0 });
  }
  await expect.poll(() => counters().dropped_overflow_sample).toBeGreaterThan(0);
  expect(here.acks).toEqual([]);
  const taken = counters().uplink_messages;
  expect(taken + counters().dropped_overflow_sample).toBeLessThanOrEqual(40);
  bed.cloud.hold = null;
  release.resolve();
  await expect.poll(() => here.acks.at(-1)?.through).toBe(taken);
});

test('who is not greeted yet waits unread for the turn of one who says nothing', async () => {
  bed = await startTestBed({ limits: { greetings_max: 1, connect_timeout_ms: 1_500 } });
  const silent = await bareSocket(bed.mqtt_port);
  const began = performance.now();
  const here = await connectStation(url(), MINE);
  expect(performance.now() - began).toBeGreaterThan(900);
  await silent.ended;
  expect(counters().refused_connect_timeout).toBe(1);
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
});

test('who has waited for too long is turned away, and counted', async () => {
  bed = await startTestBed({ limits: { greetings_max: 1, connect_timeout_ms: 300 } });
  const silent = await Promise.all([1, 2, 3].map(() => bareSocket(bed.mqtt_port)));
  await Promise.all(silent.map(({ ended }) => ended));
  expect(counters().refused_turn + counters().refused_connect_timeout).toBe(3);
  expect(counters().refused_turn).toBeGreaterThan(0);
  await connectStation(url(), MINE);
});

test('five hundred who knock in one moment are all let in, two at a time', async () => {
  bed = await startTestBed({ limits: { greetings_max: 2 } });
  const all = await Promise.all(
    Array.from({ length: 500 }, (_, number) => connectStation(url(), station(number))),
  );
  expect(counters().sessions).toBe(500);
  await Promise.all(all.map(({ client }) => client.endAsync(true)));
});

test('two thousand stations', async () => {
  bed = await startTestBed();
  const STATIONS = 2_000;
  const stations: TestStation[] = [];
  for (let number = 0; number < STATIONS; number += 50) {
    const group = Array.from({ length: 50 }, (_, at) =>
      connectStation(url(), station(number + at)),
    );
    stations.push(...(await Promise.all(group)));
  }
  for (const here of stations) {
    await here.publishState(birth('a'));
    here.send('event', 1);
    here.send('sample', 1, 5);
  }
  await expect
    .poll(() => stations.filter((here) => here.acks.length === 2).length, { timeout: 30_000 })
    .toBe(STATIONS);
  expect(bed.cloud.committed).toHaveLength(6 * STATIONS);
  expect(bed.cloud.gaps).toBe(0);
  await bed.cloud.until(
    () => new Set(bed.cloud.presence.map(({ station: code }) => code)).size === STATIONS,
  );
  await Promise.all(stations.map((here) => here.client.endAsync(true)));
  await expect.poll(() => counters().connections - STATIONS).toBe(0);
}, 60_000);

test('bytes that are no MQTT, from many sides at once, harm nobody', async () => {
  bed = await startTestBed();
  const here = await connectStation(url(), MINE);
  const noise = Array.from({ length: 50 }, async (_, at) => {
    const { socket, ended } = await bareSocket(bed.mqtt_port);
    socket.write(
      Buffer.from([0x10, 10 + at, 0, 4, 77, 81, 84, 84, at, 255, 0, 60, 255, 255, 1, 2, 3]),
    );
    socket.end();
    await ended;
  });
  await Promise.all(noise);
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
});
