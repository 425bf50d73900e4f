/** kill -9 in the middle of ingest, fifty times on each database: what was acknowledged is there, once, and nothing else. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STREAMS } from '@waystation/protocol/topics';
import { prng } from '@waystation/runtime/prng';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { temporaryDirectory } from '../servers/process.ts';
import { openTestDatabase, seedStations } from './databases.ts';
import {
  accessEvent,
  createStationModel,
  reportSample,
  type StationModel,
} from './station-model.ts';
import type { FromVictim, ToVictim } from './victim.ts';

const KILLS = 50;
const STATIONS = 40;
const IN_FLIGHT = 3;
const SEED = 20_261_122;

let postgres: TestPostgres;
const directory = temporaryDirectory('kill');
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
  directory.remove();
});

function produce(station: StationModel, random: () => number, tick: number): void {
  for (let n = Math.floor(random() * 4); n >= 0; n -= 1)
    station.event(accessEvent(tick, 'granted', n));
  for (let n = Math.floor(random() * 3); n >= 0; n -= 1)
    station.sample(reportSample(tick * 10 + n, 20));
}

/** What the stations send next: everything not acknowledged, of a third of them. */
function nextFrames(stations: readonly StationModel[], random: () => number): ToVictim['frames'] {
  return stations
    .filter(() => random() < 0.34)
    .flatMap((station) =>
      STREAMS.filter((stream) => station.acked[stream] < station.records[stream].length).map(
        (stream) => station.frame(stream, station.acked[stream] + 1, 200),
      ),
    );
}

interface Life {
  /** Kill when this many answers have come; null: already while the database opens. */
  answers: number | null;
  produce: boolean;
}

/** One process from its start to its violent end. Returns how many answers came. */
async function live(
  url: string,
  stations: readonly StationModel[],
  random: () => number,
  life: Life,
): Promise<number> {
  const child = fork(join(import.meta.dirname, 'victim.ts'), [url], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const exit = once(child, 'exit');
  let complaint = '';
  child.stderr?.on(
    'data',
    (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4_000)),
  );
  const by_code = new Map(stations.map((station) => [station.code, station]));
  let answers = 0;
  let sent = 0;
  const sendNext = () => {
    if (life.produce) for (const station of stations) produce(station, random, (sent += 1));
    const frames = nextFrames(stations, random);
    child.send({ id: sent, frames } satisfies ToVictim, () => {});
  };
  child.on('message', (message: FromVictim) => {
    if (message.said === 'opening' && life.answers === null) killSoon(child, random);
    if (message.said === 'ready') for (let n = 0; n < IN_FLIGHT; n += 1) sendNext();
    if (message.said !== 'answer') return;
    answers += 1;
    for (const { station, ack } of message.answer.acks) {
      const model = by_code.get(station);
      expect(ack.problem).not.toBe('fork');
      if (model) model.acked[ack.stream] = Math.max(model.acked[ack.stream], ack.through);
    }
    if (life.answers !== null && answers >= life.answers) killSoon(child, random);
    else sendNext();
  });
  await exit;
  expect(child.signalCode, `it ended by itself: ${complaint}`).toBe('SIGKILL');
  return answers;
}

/** After some turns of the loop, so that the blow falls anywhere in the work that is under way. */
function killSoon(child: ChildProcess, random: () => number): void {
  let turns = Math.floor(random() * 400);
  const wait = () => {
    turns -= 1;
    if (turns > 0) setImmediate(wait);
    else child.kill('SIGKILL');
  };
  wait();
}

describe.each(['PGlite', 'PostgreSQL'])('kill -9 during ingest on %s', (name) => {
  it(`leaves committed = acknowledged after ${KILLS} kills`, async () => {
    const url = name === 'PGlite' ? `pglite:${join(directory.path, 'data')}` : postgres.url;
    const seeding = await openTestDatabase(url);
    const codes = await seedStations(seeding, STATIONS);
    await seeding.close();
    const random = prng(SEED);
    const stations = codes.map((code) => createStationModel(code, 'aaaaaaaaaaaa'));
    let answers = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const opening = random() < 0.15;
      const life = { answers: opening ? null : 1 + Math.floor(random() * 12), produce: true };
      answers += await live(url, stations, random, life);
    }
    expect(answers, `seed=${SEED}`).toBeGreaterThan(KILLS);
    const drained = () =>
      stations.every((s) =>
        STREAMS.every((stream) => s.acked[stream] === s.records[stream].length),
      );
    while (!drained()) await live(url, stations, random, { answers: 30, produce: false });

    const database = await openTestDatabase(url);
    for (const [index, station] of stations.entries()) {
      const { rows } = await database.pool.query<{ seqs: number[]; bodies: unknown[] }>(
        `select array_agg(seq::int order by seq) as seqs, jsonb_agg(body order by seq) as bodies from event where station_id = $1`,
        [index + 1],
      );
      expect(rows[0]?.bodies, `seed=${SEED} ${station.code}`).toEqual(station.records.event);
      const cursors = await database.pool.query<{ stream: string; through: number }>(
        'select stream, through::int from stream_cursor where station_id = $1 order by stream',
        [index + 1],
      );
      expect(cursors.rows, `seed=${SEED} ${station.code}`).toEqual(
        STREAMS.map((stream) => ({ stream, through: station.records[stream].length })),
      );
      const usage = await database.pool.query<{ openings: number }>(
        'select sum(openings)::int as openings from usage_daily where station_id = $1',
        [index + 1],
      );
      expect(usage.rows[0]?.openings).toBe(station.records.event.length);
    }
    await database.close();
  }, 300_000);
});
