/**
 * Many thousands of lean stations at an even pace, as a process of its own: each reports once an interval at a moment of
 * its own, events fall on any of them. Reads one JSON order a line on standard input, answers each with one JSON line.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { createDelays } from '@waystation/firmware-sim/fleet/delays';
import { StationCodeSchema } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { prng } from '@waystation/runtime/prng';
import { signStationToken } from '@waystation/runtime/station-token';
import { connectLean, send, type LeanStation } from '../ingest/lean-station.ts';

const TICK_MS = 10;
const RESEND_AFTER_MS = 10_000;
const DRAINED_WITHIN_MS = 60_000;
const WINDOW = 8;
/** Connections of one process under way at once. */
const CONNECTING_MAX = 64;
const TRIES_MAX = 8;
const RETRY_AFTER_MS = 1_000;
/** Far enough back that no record made in a run lies in the future. */
const BEGAN_AT = Date.now() - 3_600_000;

const Order = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('connect'),
    port: z.int(),
    /** Addresses to connect from, taken in turn. */
    from: z.array(z.string()).min(1),
    key_file: z.string(),
    stations: z.array(StationCodeSchema),
    per_s: z.number(),
  }),
  z.strictObject({
    do: z.literal('pace'),
    seconds: z.number(),
    report_interval_s: z.number(),
    events_per_s: z.number(),
    seed: z.int(),
  }),
  z.strictObject({ do: z.literal('end') }),
]);
type Order = z.output<typeof Order>;

const stations: LeanStation[] = [];
const delays = { event: createDelays(), sample: createDelays() };
/** When the oldest unacknowledged record of a stream was made. */
const made_at: Record<Stream, Map<string, number[]>> = { event: new Map(), sample: new Map() };
const acked_before: Record<Stream, Map<string, number>> = { event: new Map(), sample: new Map() };

let retries = 0;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function heard(station: LeanStation, stream: Stream): void {
  const { acked } = station[stream];
  const fresh = acked - (acked_before[stream].get(station.code) ?? 0);
  acked_before[stream].set(station.code, acked);
  const now = performance.now();
  const waiting = made_at[stream].get(station.code) ?? [];
  for (const made of waiting.splice(0, fresh)) delays[stream].note(now - made);
}

/** A station that is refused or cut tries again, as the agent would. */
async function persist(connectOnce: () => Promise<LeanStation>): Promise<LeanStation> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await connectOnce();
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      retries += 1;
      await sleep(RETRY_AFTER_MS * tries * (0.5 + Math.random()));
    }
  }
}

async function connectAll(order: Extract<Order, { do: 'connect' }>): Promise<void> {
  const key = createPrivateKey(readFileSync(order.key_file));
  const issued_at_s = Math.floor(Date.now() / 1000);
  const began = performance.now();
  const connecting = new Set<Promise<void>>();
  for (const [n, code] of order.stations.entries()) {
    const due_ms = began + (n * 1000) / order.per_s - performance.now();
    if (due_ms > 1) await sleep(due_ms);
    while (connecting.size >= CONNECTING_MAX) await Promise.race(connecting);
    const connectOnce = () =>
      connectLean({
        code,
        port: order.port,
        password: signStationToken(key, { station: code, issued_at_s }),
        began_at: BEGAN_AT,
        from: order.from[n % order.from.length] ?? '127.0.0.1',
        onAck: (station, ack) => heard(station, ack.stream),
      });
    const one = persist(connectOnce).then((station) => {
      stations.push(station);
      connecting.delete(one);
    });
    connecting.add(one);
  }
  await Promise.all(connecting);
}

function make(station: LeanStation, stream: Stream): void {
  const waiting = made_at[stream].get(station.code) ?? [];
  made_at[stream].set(station.code, waiting);
  waiting.push(performance.now());
  station[stream].make(1);
  send(station, station[stream], WINDOW);
}

const left = () =>
  stations.reduce(
    (sum, { event, sample }) => sum + event.made - event.acked + sample.made - sample.acked,
    0,
  );

/** Whoever has waited long sends again, as the agent would. */
function resendOverdue(): void {
  const now = performance.now();
  for (const station of stations) {
    for (const stream of ['event', 'sample'] as const) {
      const oldest = made_at[stream].get(station.code)?.[0];
      if (oldest === undefined || now - Math.max(oldest, station.turn) < RESEND_AFTER_MS) continue;
      station.turn = now;
      station[stream].rewind();
      send(station, station[stream], WINDOW);
    }
  }
}

async function pace(order: Extract<Order, { do: 'pace' }>) {
  const random = prng(order.seed);
  const began = performance.now();
  const reports_per_ms = stations.length / (order.report_interval_s * 1000);
  const reports = order.seconds * 1000 * reports_per_ms;
  const events = order.seconds * order.events_per_s;
  let reported = 0;
  let happened = 0;
  let looked_at = began;
  while (reported < reports || left() > 0) {
    const now = performance.now();
    const elapsed_ms = Math.min(now - began, order.seconds * 1000);
    for (; reported < Math.min(reports, elapsed_ms * reports_per_ms); reported += 1) {
      const station = stations[reported % stations.length];
      if (station) make(station, 'sample');
    }
    for (; happened < Math.min(events, (elapsed_ms / 1000) * order.events_per_s); happened += 1) {
      const station = stations[Math.floor(random() * stations.length)];
      if (station) make(station, 'event');
    }
    if (now - looked_at > 1_000) {
      looked_at = now;
      resendOverdue();
    }
    if (now - began > order.seconds * 1000 + DRAINED_WITHIN_MS)
      throw new Error(`${left()} records are not acknowledged`);
    await sleep(TICK_MS);
  }
  const sum = (stream: Stream) => stations.reduce((all, station) => all + station[stream].made, 0);
  return {
    events: sum('event'),
    samples: sum('sample'),
    resends: stations.reduce((all, { event, sample }) => all + event.resends + sample.resends, 0),
    event: delays.event.figures(),
    sample: delays.sample.figures(),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = Order.parse(JSON.parse(line));
  if (order.do === 'end') break;
  if (order.do === 'connect') await connectAll(order);
  const answer = order.do === 'pace' ? await pace(order) : { connected: stations.length, retries };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
for (const { socket } of stations) socket.destroy();
