/** Counters and timings for Prometheus. Labels are closed sets: never a station, an account or an address. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Numbers that a part keeps itself, read when somebody asks. */
export interface Reading {
  name: string;
  help: string;
  kind: 'counter' | 'gauge';
  read: () => number;
}

export interface Metrics {
  observe(route: string, method: string, status: number, duration_ms: number): void;
  text(): Promise<string>;
  readonly content_type: string;
}

export function createMetrics(readings: readonly Reading[]): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const answers = new Histogram({
    name: 'waystation_http_answer_seconds',
    help: 'Time from request to answer, by route',
    labelNames: ['route', 'method', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers: [registry],
  });
  for (const { name, help, kind, read } of readings) {
    const registers = [registry];
    if (kind === 'gauge') {
      const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(read()) });
    } else {
      const counter: Counter = new Counter({
        name,
        help,
        registers,
        collect() {
          counter.reset();
          counter.inc(read());
        },
      });
    }
  }
  return {
    observe(route, method, status, duration_ms) {
      answers.observe(
        { route, method, status: `${Math.floor(status / 100)}xx` },
        duration_ms / 1000,
      );
    },
    text: () => registry.metrics(),
    content_type: registry.contentType,
  };
}
