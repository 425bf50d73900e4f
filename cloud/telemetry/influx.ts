/** InfluxDB 1, 2 and 3 by the official client: they differ in path and credential only. Retries are ours, not the client's. */
import { Agent } from 'node:http';
import {
  HttpError,
  InfluxDB,
  RequestTimedOutError,
  setLogger,
  type WriteApi,
} from '@influxdata/influxdb-client';
import { z } from 'zod';
import { Fault } from '@waystation/runtime/fault';
import { INFLUX_MEASUREMENT, lineOf } from './line-protocol.ts';
import {
  type RejectedPoint,
  type SeriesPoint,
  type SeriesQuery,
  seriesSpanMs,
  type TelemetryPoint,
  type TelemetryStore,
} from './store.ts';

export interface InfluxOptions {
  url: string;
  flavour: 1 | 2 | 3;
  /** The database (1, 3) or bucket (2; reads need a DBRP mapping of the same name). */
  database: string;
  organisation?: string;
  username?: string;
  password?: string;
  token?: string;
  /** A write or read that takes longer counts as away. */
  timeout_ms: number;
}

/** Lines in one request. */
export const WRITE_LINES_MAX = 5_000;
const SOCKETS_MAX = 4;
/** Requests one write may spend on finding poison points. */
const ISOLATION_REQUESTS_MAX = 200;
/** 2262-04-11: InfluxDB counts nanoseconds in 64 bits. */
const TIME_MAX_MS = 9_223_372_036_854;
/** The server read the request and will never take it whole. */
const POISON_STATUS = new Set([400, 413, 422]);

const Answer = z.object({
  results: z
    .array(
      z.object({
        error: z.string().optional(),
        series: z
          .array(z.object({ values: z.array(z.tuple([z.number(), z.number().nullable()])) }))
          .optional(),
      }),
    )
    .min(1),
});

export function createInfluxTelemetry(options: InfluxOptions): TelemetryStore {
  setLogger({ error: () => {}, warn: () => {} }); // the client would print errors that reject anyway
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  const headers = credentialHeaders(options);
  const influx = new InfluxDB({
    url: options.url,
    headers,
    timeout: options.timeout_ms,
    transportOptions: { agent },
  });
  const idle: WriteApi[] = [];
  // The client gives up waiting but leaves the request open: a frozen server would collect sockets without end.
  const giveUp = (error: unknown) => {
    if (error instanceof RequestTimedOutError) agent.destroy();
  };

  const post = async (lines: string[]): Promise<void> => {
    const api = idle.pop() ?? openWriteApi(influx, options);
    try {
      api.writeRecords(lines);
      await api.flush();
      idle.push(api);
    } catch (error) {
      api.dispose();
      giveUp(error);
      throw error;
    }
  };

  const write = async (points: readonly TelemetryPoint[]): Promise<readonly RejectedPoint[]> => {
    const rejected: RejectedPoint[] = points
      .filter((point) => point.at > TIME_MAX_MS)
      .map((point) => ({ point, reason: 'the time is beyond what InfluxDB can hold' }));
    const writable =
      rejected.length === 0 ? points : points.filter((point) => point.at <= TIME_MAX_MS);
    const budget = { requests: ISOLATION_REQUESTS_MAX };
    for (let from = 0; from < writable.length; from += WRITE_LINES_MAX) {
      await writeIsolating(writable.slice(from, from + WRITE_LINES_MAX), post, budget, rejected);
    }
    return rejected;
  };

  return {
    kind: 'influx',
    write,
    series: (query) =>
      readSeries(influx, options.database, query).catch((error: unknown) => {
        giveUp(error);
        throw unavailable(error);
      }),
    async close() {
      for (const api of idle) api.dispose();
      agent.destroy();
    },
  };
}

function credentialHeaders(options: InfluxOptions): Record<string, string> {
  if (options.token !== undefined) return { authorization: `Token ${options.token}` };
  if (options.username === undefined) return {};
  const pair = Buffer.from(`${options.username}:${options.password ?? ''}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}

function openWriteApi(influx: InfluxDB, options: InfluxOptions): WriteApi {
  const api = influx.getWriteApi(options.organisation ?? '', options.database, 'ms', {
    batchSize: WRITE_LINES_MAX + 1, // a full buffer would be sent without being awaited
    maxBatchBytes: 1_000_000_000,
    flushInterval: 0,
    maxRetries: 0,
    // On the same machine compressing only costs: twice the client's CPU, a third of the rate.
    gzipThreshold: isLoopback(options.url) ? Number.MAX_SAFE_INTEGER : 1_000,
  });
  if (options.flavour === 1) {
    api.path = `/write?db=${encodeURIComponent(options.database)}&precision=ms`;
  }
  return api;
}

function isLoopback(url: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname);
}

/** Halves a refused batch until the points at fault stand alone: what is stored twice is stored once. */
async function writeIsolating(
  points: readonly TelemetryPoint[],
  post: (lines: string[]) => Promise<void>,
  budget: { requests: number },
  rejected: RejectedPoint[],
): Promise<void> {
  const lines = points.map(lineOf).filter((line) => line !== null);
  if (lines.length === 0) return;
  try {
    await post(lines);
  } catch (error) {
    if (!(error instanceof HttpError) || !POISON_STATUS.has(error.statusCode))
      throw unavailable(error);
    if (points.length === 1 || budget.requests <= 0) {
      const reason = `${error.statusCode} ${error.body ?? error.message}`.slice(0, 300);
      rejected.push(...points.map((point) => ({ point, reason })));
      return;
    }
    budget.requests -= 2;
    const half = points.length >>> 1;
    await writeIsolating(points.slice(0, half), post, budget, rejected);
    await writeIsolating(points.slice(half), post, budget, rejected);
  }
}

/** InfluxQL, the one language of 1.x, 2.x and 3. The client's transport keeps address, credential and time limit. */
async function readSeries(
  influx: InfluxDB,
  database: string,
  query: SeriesQuery,
): Promise<SeriesPoint[]> {
  const span_ms = seriesSpanMs(query);
  const field = `"${query.measurement}"`;
  const where = `FROM "${INFLUX_MEASUREMENT}" WHERE "station" = $station AND time >= ${Math.floor(query.from)}ms AND time < ${Math.floor(query.to)}ms`;
  const statement =
    span_ms === null
      ? `SELECT ${field} ${where} ORDER BY time DESC LIMIT ${Math.floor(query.points_max)}`
      : `SELECT MEAN(${field}) ${where} GROUP BY time(${span_ms}ms) FILL(none)`;
  const parameters = new URLSearchParams({
    db: database,
    epoch: 'ms',
    q: statement,
    params: JSON.stringify({ station: query.station }),
  });
  const json: unknown = await influx.transport.request(`/query?${parameters.toString()}`, '', {
    method: 'GET',
    headers: { accept: 'application/json' },
  });
  const answer = Answer.parse(json).results[0];
  if (answer?.error !== undefined)
    throw new Fault('TELEMETRY_UNAVAILABLE', { problem: answer.error });
  const points = (answer?.series?.[0]?.values ?? []).filter(
    (pair): pair is SeriesPoint => pair[1] !== null,
  );
  return span_ms === null ? points.toReversed() : points;
}

function unavailable(cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  const problem =
    cause instanceof HttpError ? `${cause.statusCode} ${cause.message}` : String(cause);
  return new Fault('TELEMETRY_UNAVAILABLE', { problem: problem.slice(0, 300) }, cause);
}
