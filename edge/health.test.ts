import { expect, test } from 'vitest';
import { isFault } from '@waystation/runtime/fault';
import { fakeStation } from './fake-parts.ts';
import { prometheusText, startHealth } from './health.ts';
import { createHistogram } from './histogram.ts';
import { agentMetrics } from './metrics.ts';

test('durations are told as Prometheus wants them: cumulative, in seconds, with +Inf', () => {
  const histogram = createHistogram([1, 10]);
  for (const ms of [0.5, 1, 5, 100]) histogram.observe(ms);
  const text = prometheusText([
    { name: 'd', help: 'A duration.', type: 'histogram', histogram: histogram.snapshot() },
  ]);
  expect(text).toBe(
    '# HELP d A duration.\n# TYPE d histogram\nd_bucket{le="0.001"} 2\nd_bucket{le="0.01"} 3\nd_bucket{le="+Inf"} 4\nd_sum 0.1065\nd_count 4\n',
  );
});

test('serves life, readiness and metrics of a station', async () => {
  const { agent, outbox, reader, clock, io } = await fakeStation();
  reader.scan('card 7 rights 1');
  await clock.advance(200);
  const health = await startHealth({
    host: '127.0.0.1',
    port: 0,
    parts: () => ({ controller: agent.status().ready }),
    ready: () => agent.status().ready,
    metrics: () =>
      agentMetrics({
        agent,
        outbox,
        outbox_counters: () => ({ commits: 3 }),
        outbox_bytes: () => 4_096,
        bus_counters: () => ({ requests: 12 }),
        reader_counters: () => ({ lines: 1 }),
      }),
  });
  const get = (path: string) => fetch(`http://127.0.0.1:${health.port}${path}`);
  try {
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/readyz')).json()).toEqual({
      ready: true,
      parts: { controller: true },
    });
    const text = await (await get('/metrics')).text();
    expect(text).toContain('waystation_edge_door_answers_total{outcome="granted"} 1\n');
    expect(text).toContain('waystation_edge_door_scan_to_coil_seconds_count 1\n');
    expect(text).toContain('waystation_edge_field_bus_total{kind="requests"} 12\n');
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) waystation_edge_\w+ .+|waystation_edge_\w+(\{\w+="[^"]+"\})? [\d.e+-]+)$/,
      );
    }
    io.device('controller', false);
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/else')).status).toBe(404);
    const taken = startHealth({
      host: '127.0.0.1',
      port: health.port,
      parts: () => ({}),
      ready: () => true,
      metrics: () => [],
    });
    await expect(taken).rejects.toSatisfy((error) => isFault(error, 'PORT_IN_USE'));
  } finally {
    await health.stop();
  }
});
