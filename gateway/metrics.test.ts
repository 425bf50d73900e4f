import { expect, test } from 'vitest';
import { createCounters, prometheusText } from './metrics.ts';

test('each metric is described once and every counter is there', () => {
  const counters = createCounters();
  counters.refused_publish = 3;
  const gauges = {
    connections: 1,
    connections_waiting: 0,
    stations_online: 2,
    presence_unreported: 3,
    pending_bytes: 7,
    posts_in_flight: 0,
  };
  const text = prometheusText(counters, gauges);
  expect(text).toContain('waystation_gateway_refused_total{reason="publish"} 3\n');
  expect(text).toContain(
    '# TYPE waystation_gateway_pending_bytes gauge\nwaystation_gateway_pending_bytes 7\n',
  );
  const lines = text.trimEnd().split('\n');
  const described = lines
    .filter((line) => line.startsWith('# TYPE'))
    .map((line) => line.split(' ')[2]);
  expect(new Set(described).size).toBe(described.length);
  const samples = lines.filter((line) => !line.startsWith('#'));
  expect(samples).toHaveLength(Object.keys(counters).length + Object.keys(gauges).length);
  expect(new Set(samples.map((line) => line.split(' ')[0])).size).toBe(samples.length);
  for (const line of samples) {
    expect(line).toMatch(/^[a-z_]+(\{[a-z]+="[a-z_]+"(,[a-z]+="[a-z_]+")*\})? \d+$/);
  }
});
