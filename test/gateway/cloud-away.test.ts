import { afterEach, expect, test } from 'vitest';
import { birth, connectStation, startTestBed, station, type TestBed } from './harness.ts';

const MINE = station(1);
let bed: TestBed;
const url = () => `mqtt://127.0.0.1:${bed.mqtt_port}`;
const counters = () => bed.gateway.counters;
const get = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${bed.gateway.ports.http}${path}`);
  return { status: response.status, text: await response.text() };
};

afterEach(() => bed.close());

test('while the cloud is away nothing is acknowledged; when it is back the station sends again', async () => {
  bed = await startTestBed();
  const { cloud } = bed;
  const here = await connectStation(url(), MINE);
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
  await cloud.stop();
  here.send('event', 2);
  await expect.poll(() => counters().dropped_post_failed).toBe(1);
  here.send('event', 2);
  await expect.poll(() => counters().posts_failed).toBe(2);
  here.send('event', 2);
  await expect.poll(() => counters().dropped_cloud_away).toBe(1);
  await here.publishState(birth('a'));
  expect((await get('/readyz')).status).toBe(503);
  expect(here.acks).toHaveLength(1);
  await cloud.start();
  await cloud.until(() => cloud.presence.length === 1);
  await expect
    .poll(() => {
      if (here.acks.length === 1) here.send('event', 2);
      return here.acks.at(-1)?.through;
    })
    .toBe(2);
  await cloud.until(() => cloud.command_streams === 1);
  expect(cloud.committed).toEqual([`${MINE}/event/1`, `${MINE}/event/2`]);
  await expect.poll(async () => (await get('/readyz')).status).toBe(200);
  expect(bed.log.filter((line) => line.startsWith('warn cloud.lost'))).toHaveLength(1);
  expect(bed.log.filter((line) => line.startsWith('info cloud.restored'))).toHaveLength(1);
});

test.each([400, 401, 413, 500, 503])('an answer of %i acknowledges nothing', async (status) => {
  bed = await startTestBed();
  bed.cloud.fail_with = status;
  const here = await connectStation(url(), MINE);
  here.send('event', 1);
  await expect.poll(() => counters().posts_failed).toBe(1);
  expect(here.acks).toEqual([]);
  bed.cloud.fail_with = null;
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
});

test('a cloud that takes too long acknowledges nothing, and what it committed is acknowledged by the next message', async () => {
  bed = await startTestBed({ limits: { post_timeout_ms: 200 } });
  const release = Promise.withResolvers<void>();
  bed.cloud.hold = release.promise;
  const here = await connectStation(url(), MINE);
  here.send('event', 1);
  await expect.poll(() => counters().posts_failed).toBe(1);
  expect([here.acks, bed.cloud.committed.length]).toEqual([[], 1]);
  bed.cloud.hold = null;
  release.resolve();
  here.send('event', 1);
  await expect.poll(() => here.acks.at(-1)?.through).toBe(1);
  expect(bed.cloud.committed).toHaveLength(1);
});

test('a stop waits for the post in flight, sends its acknowledgement and declares nobody dead', async () => {
  bed = await startTestBed();
  const { cloud, gateway } = bed;
  const here = await connectStation(url(), MINE);
  await here.publishState(birth('a'));
  await cloud.until(() => cloud.presence.length === 1);
  const release = Promise.withResolvers<void>();
  cloud.hold = release.promise;
  here.send('event', 1);
  await cloud.until(() => cloud.committed.length === 1);
  const stopped = gateway.stop();
  release.resolve();
  await stopped;
  await here.closed;
  expect(here.acks).toHaveLength(1);
  expect(cloud.presence).toHaveLength(1);
});

test('health, metrics, and nothing else', async () => {
  bed = await startTestBed();
  const here = await connectStation(url(), MINE);
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
  expect(await get('/healthz')).toEqual({ status: 200, text: '{"alive":true}\n' });
  expect(await get('/readyz')).toMatchObject({ status: 200 });
  const { text } = await get('/metrics');
  expect(text).toContain('waystation_gateway_uplink_messages_total 1\n');
  expect(text).toContain('waystation_gateway_connections 1\n');
  expect((await get('/')).status).toBe(404);
});
