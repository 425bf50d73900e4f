/** `/healthz` (the process lives), `/readyz` (the door serves), `/metrics` (Prometheus text format 0.0.4). */
import { once } from 'node:events';
import { Fault } from '@waystation/runtime/fault';
import type { HistogramSnapshot } from './histogram.ts';

export interface HealthOptions {
  host: string;
  port: number;
  /** Part → does it work. The door is what readiness means; the uplink is told and does not count. */
  parts(): Readonly<Record<string, boolean>>;
  ready(): boolean;
  metrics(): readonly (Metric | DurationMetric)[];
}

export interface Metric {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  /** Label text as it is written between the braces, and the value. */
  values: readonly (readonly [labels: string, value: number])[];
}
export interface DurationMetric {
  name: string;
  help: string;
  type: 'histogram';
  /** In ms; told in seconds, as Prometheus wants it. */
  histogram: HistogramSnapshot;
}

export interface Health {
  readonly port: number;
  stop(): Promise<void>;
}

/** Throws Fault PORT_IN_USE. A station without it does not load HTTP at all: that is 10 MB of its memory. */
export async function startHealth(options: HealthOptions): Promise<Health> {
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return answer(200, 'application/json', '{"alive":true}\n');
      case '/readyz': {
        const ready = options.ready();
        return answer(
          ready ? 200 : 503,
          'application/json',
          `${JSON.stringify({ ready, parts: options.parts() })}\n`,
        );
      }
      case '/metrics':
        return answer(
          200,
          'text/plain; version=0.0.4; charset=utf-8',
          prometheusText(options.metrics()),
        );
      default:
        return answer(404, 'application/json', '{"error":"NOT_FOUND"}\n');
    }
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 8;
  server.listen(options.port, options.host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Fault('PORT_IN_USE', { host: options.host, port: options.port }, cause);
  }
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

export function prometheusText(metrics: readonly (Metric | DurationMetric)[]): string {
  return metrics
    .map((metric) => {
      const head = `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n`;
      const body = metric.type === 'histogram' ? histogramLines(metric) : valueLines(metric);
      return head + body.map((line) => `${line}\n`).join('');
    })
    .join('');
}

function valueLines({ name, values }: Metric): string[] {
  return values.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
}

function histogramLines({ name, histogram }: DurationMetric): string[] {
  let below = 0;
  const buckets = histogram.buckets.map(({ up_to, count }) => {
    below += count;
    return `${name}_bucket{le="${Number.isFinite(up_to) ? up_to / 1000 : '+Inf'}"} ${below}`;
  });
  return [...buckets, `${name}_sum ${histogram.sum / 1000}`, `${name}_count ${histogram.count}`];
}
