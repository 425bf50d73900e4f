/**
 * The load of many stations as a process of its own: real MQTT connections, real acknowledgements.
 * Reads one JSON order a line on standard input, answers each with one JSON line: connect, live, backlog, end.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { StationCodeSchema, type StationCode } from '@waystation/protocol/station-code';
import { signStationToken } from '@waystation/runtime/station-token';
import { connectLean, send, type LeanStation } from './lean-station.ts';
import type { StreamLoad } from './station-stream.ts';

const CONNECTS_AT_ONCE = 50;
const RESEND_AFTER_MS = 5000;
/** Far enough back that no record made in a run lies in the future. */
const BEGAN_AT = Date.now() - 600_000;

const Order = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('connect'),
    port: z.int(),
    key_file: z.string(),
    stations: z.array(StationCodeSchema),
  }),
  /** Each message carries `records`; events are one message in `event_every`; runs `seconds`, then drains. */
  z.strictObject({
    do: z.literal('run'),
    seconds: z.number(),
    records: z.int(),
    event_every: z.int(),
    window: z.int(),
    ahead: z.int(),
  }),
  z.strictObject({ do: z.literal('end') }),
]);

const stations: LeanStation[] = [];
let wake: () => void = () => {};

async function connectAll(
  port: number,
  key_file: string,
  codes: readonly StationCode[],
): Promise<void> {
  const key = createPrivateKey(readFileSync(key_file));
  const issued_at_s = Math.floor(Date.now() / 1000);
  for (let at = 0; at < codes.length; at += CONNECTS_AT_ONCE) {
    const some = codes.slice(at, at + CONNECTS_AT_ONCE);
    stations.push(
      ...(await Promise.all(
        some.map((station) =>
          connectLean({
            code: station,
            port,
            password: signStationToken(key, { station, issued_at_s }),
            began_at: BEGAN_AT,
            onAck: () => wake(),
          }),
        ),
      )),
    );
  }
}

const acked = () =>
  stations.reduce((sum, { event, sample }) => sum + event.acked + sample.acked, 0);
const made = () => stations.reduce((sum, { event, sample }) => sum + event.made + sample.made, 0);

interface Run {
  seconds: number;
  records: number;
  event_every: number;
  window: number;
  ahead: number;
}

/** Keeps `ahead` messages of each station made but unacknowledged, so that the system, not the load, is the limit. */
async function run(order: Run) {
  const began = performance.now();
  const acked_before = acked();
  const made_before = made();
  const fill = (station: LeanStation) => {
    const waiting = (load: StreamLoad) => (load.made - load.acked) / order.records;
    while (waiting(station.event) + waiting(station.sample) < order.ahead) {
      station.turn += 1;
      const load = station.turn % order.event_every === 0 ? station.event : station.sample;
      load.make(order.records);
    }
  };
  const deadline = began + order.seconds * 1000;
  let measured = 0;
  let measured_ms = 0;
  let producing = true;
  while (producing || acked() < made()) {
    const now = performance.now();
    if (producing && now >= deadline) {
      producing = false;
      measured = acked() - acked_before;
      measured_ms = now - began;
    }
    for (const station of stations) {
      if (producing) fill(station);
      if (now - station.heard_at > RESEND_AFTER_MS) {
        station.heard_at = now;
        station.event.rewind();
        station.sample.rewind();
      }
      send(station, station.event, order.window);
      send(station, station.sample, order.window);
    }
    if (now > deadline + 60_000)
      throw new Error(`the load did not drain: ${made() - acked()} records unacknowledged`);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 5);
      wake = () => {
        clearTimeout(timer);
        setImmediate(resolve);
      };
    });
  }
  const resends = stations.reduce(
    (sum, { event, sample }) => sum + event.resends + sample.resends,
    0,
  );
  return {
    records_per_s: (measured * 1000) / measured_ms,
    produced: made() - made_before,
    acked: acked() - acked_before,
    resends,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = Order.parse(JSON.parse(line));
  if (order.do === 'end') break;
  if (order.do === 'connect') await connectAll(order.port, order.key_file, order.stations);
  const answer = order.do === 'run' ? await run(order) : { connected: stations.length };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
for (const { socket } of stations) socket.destroy();
