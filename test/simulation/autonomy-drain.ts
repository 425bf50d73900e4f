/** The cloud is back: the station's own uplink drains into the real ingest on an embedded database, and every row is compared. */
import { isDeepStrictEqual } from 'node:util';
import type { Database } from '@waystation/cloud/database/open';
import type { Ack } from '@waystation/protocol/uplink';
import { uplinkTopic } from '@waystation/protocol/topics';
import type { Frame } from '@waystation/protocol/gateway-link';
import { epochMs, systemClock } from '@waystation/runtime/clock';
import { createIngestWorld } from '../ingest/world.ts';
import type { AutonomyRun } from './autonomy.ts';

export interface Drained {
  messages: number;
  megabytes: number;
  /** Wrong, missing, twice or out of order. */
  problems: string[];
  bands: Record<string, number>;
  oldest_point_ms: number;
  points: number;
}

/** A drain that needs more batches does not end. */
const ROUNDS_MAX = 20_000;

/** A transport on which everything arrives; the frames wait in `frames` for the next batch. */
function openTransport(run: AutonomyRun, frames: Frame[]) {
  let answer: (ack: Ack) => void = () => {};
  run.cloud = {
    connect: () =>
      Promise.resolve({
        send(stream, message) {
          const payload = Buffer.from(JSON.stringify(message));
          frames.push({ topic: uplinkTopic(run.options.code, stream), payload });
        },
        onAck: (listener) => void (answer = listener),
        onCommand: () => {},
        onClosed: () => {},
        end: () => Promise.resolve(),
      }),
  };
  return (ack: Ack) => answer(ack);
}

export async function drain(run: AutonomyRun, database: Database): Promise<Drained> {
  const clock = { ...systemClock(), wall: () => epochMs(Math.round(run.trueMs())) };
  const world = createIngestWorld(database, { clock });
  const frames: Frame[] = [];
  const acknowledge = openTransport(run, frames);
  const drained: Drained = {
    messages: 0,
    megabytes: 0,
    problems: [],
    bands: {},
    oldest_point_ms: 0,
    points: 0,
  };
  const isDrained = () =>
    (['event', 'sample'] as const).every((stream) => {
      const { acked, head } = run.life.outbox.position(stream);
      return acked === head;
    });
  for (let round = 0; !isDrained() && round < ROUNDS_MAX; round += 1) {
    await run.clock.run(run.clock.now + 100, () => frames.length > 0);
    const batch = frames.splice(0);
    if (batch.length === 0) continue;
    drained.messages += batch.length;
    drained.megabytes += batch.reduce((sum, frame) => sum + frame.payload.length, 0) / 1e6;
    for (const ack of await world.send(...batch)) acknowledge(ack);
  }
  if (!isDrained()) drained.problems.push('does not drain');
  await world.stop();
  await compare(run, database, drained);
  return drained;
}

/** The holdover of a season may be this far from the truth; a re-stamped time only as far as hours of drift. */
const HOLDOVER_MS = 120_000;
const RESTAMPED_MS = 1_000;
const GRACE_MS = 600_000;

interface Row {
  seq: string;
  body: unknown;
  band: string;
  at_ms: string;
  received_ms: string;
}

const EVENTS = `select seq, body, band, extract(epoch from at) * 1000 as at_ms,
  extract(epoch from received_at) * 1000 as received_ms from event order by generation, seq`;
const POINTS = `select count(*) as count, extract(epoch from min(at)) * 1000 as oldest_ms from telemetry`;

async function compare(run: AutonomyRun, database: Database, drained: Drained): Promise<void> {
  const { problems, bands } = drained;
  const { rows } = await database.pool.query<Row>(EVENTS);
  if (rows.length !== run.events.length)
    problems.push(`${rows.length} events stored of ${run.events.length}`);
  for (const [index, row] of rows.entries()) {
    if (Number(row.seq) !== index + 1) problems.push(`event ${index + 1} is not in its place`);
    const expected = run.events[index];
    if (expected === undefined) continue; // the outbox's own first record
    if (!isDeepStrictEqual(row.body, expected)) problems.push(`event ${index + 1} differs`);
    const true_ms = run.true_ms.event[index] ?? 0;
    const error_ms = Math.abs(Number(row.at_ms) - true_ms);
    const allowed_ms = expected.clock === 'unknown' ? RESTAMPED_MS : HOLDOVER_MS;
    if (!(error_ms <= allowed_ms)) problems.push(`event ${index + 1} is ${error_ms} ms off`);
    bands[row.band] = (bands[row.band] ?? 0) + 1;
    const pages = row.band === 'live' || row.band === 'grace';
    if (pages && Number(row.received_ms) - true_ms > GRACE_MS + HOLDOVER_MS)
      problems.push(`event ${index + 1} would page`);
  }
  const points = await database.pool.query<{ count: string; oldest_ms: string }>(POINTS);
  drained.points = Number(points.rows[0]?.count);
  drained.oldest_point_ms = Number(points.rows[0]?.oldest_ms);
}
