/**
 * The province comes back after a day offline, with a day's reports and events in every outbox, and drains while visits
 * and reports go on. `backfill`: the network returns, and the stations connect within a minute or as fast as the machine
 * lets them. `herd`: all are connected when the cloud begins to answer, and all drain at once. Audited by counts in both
 * stores.
 */
import pg from 'pg';
import { systemClock } from '@waystation/runtime/clock';
import { z } from 'zod';
import { fillBacklog, type BacklogShape } from './backlog.ts';
import { EVENTS_PER_STATION_DAY, openStage, type Stage, type Totals } from './stage.ts';
import { countPoints, pointTimes } from './telemetry.ts';

const DAY_MS = 86_400_000;
const REPORTS_PER_DAY = 1_440;
/** The province within a minute. */
const CONNECT_PER_S = 178;
const LOOK_MS = 2_000;
const DRAINED_WITHIN_MS = 1_800_000;
const SETTLED_WITHIN_MS = 60_000;

const clock = systemClock();

export interface BackfillOptions {
  stations: number;
  seed: number;
}

/** Resolves with the seconds until all but what is just being made is acknowledged. */
async function drained(stage: Stage, stations: number, began: number): Promise<number> {
  const left = ({ events, events_acked, samples, samples_acked }: Totals) =>
    events - events_acked + (samples - samples_acked);
  for (let looks = 0; ; looks += 1) {
    const totals = await stage.totals();
    const seconds = (clock.mono() - began) / 1000;
    if (looks % 10 === 0)
      console.error(
        `${seconds.toFixed(0)} s: ${totals.connected} connected, ${left(totals)} records left`,
      );
    if (totals.started === stations && left(totals) < stations / 10) return seconds;
    if (seconds * 1000 > DRAINED_WITHIN_MS) throw new Error(`not drained after ${seconds} s`);
    await clock.sleep(LOOK_MS);
  }
}

const EventCount = z.object({ station: z.string(), epoch: z.string(), n: z.coerce.number() });

/** Records of every stream up to where it stood, against what the stores count. */
async function auditCounts(stage: Stage) {
  const until = await stage.heads();
  await stage.settled(until, SETTLED_WITHIN_MS);
  const client = new pg.Client(stage.service.postgres.url);
  await client.connect();
  const { rows } = await client.query(`
    select station.code as station, cursor.epoch, count(distinct event.seq) as n
    from stream_cursor as cursor
    join station on station.id = cursor.station_id
    join event on event.station_id = cursor.station_id and event.generation = cursor.generation
    where cursor.stream = 'event' group by 1, 2`);
  const repeated = await client.query(
    'select count(*) - count(distinct (station_id, generation, seq)) as n from event',
  );
  await client.end();
  const events = new Map(
    z
      .array(EventCount)
      .parse(rows)
      .map(({ station, epoch, n }) => [`${station}/event/${epoch}`, n]),
  );
  const points = await countPoints(stage.service.influx);
  let records = 0;
  let lost = 0;
  let first_lost: string | null = null;
  for (const [key, head] of until) {
    const [station = '', stream] = key.split('/');
    let stored = stream === 'event' ? (events.get(key) ?? 0) : (points.get(station) ?? 0);
    records += head;
    if (stored < head && stream === 'sample')
      stored = (await pointTimes(stage.service.influx, station)).get(station)?.size ?? 0;
    if (stored >= head) continue;
    lost += head - stored;
    first_lost ??= `${key}: ${stored} of ${head}`;
  }
  const duplicated = z.array(z.object({ n: z.coerce.number() })).parse(repeated.rows)[0]?.n ?? 0;
  return { records, lost, duplicated, ...(first_lost === null ? {} : { first_lost }) };
}

/** Like `backfill`, all at once. */
export function benchHerd(options: BackfillOptions) {
  return measure(options, true);
}

export function benchBackfill(options: BackfillOptions) {
  return measure(options, false);
}

async function measure({ stations, seed }: BackfillOptions, herd: boolean) {
  const shape: BacklogShape = {
    samples_per_station: REPORTS_PER_DAY,
    events_per_station: EVENTS_PER_STATION_DAY,
    until: clock.wall() - 60_000,
    span_ms: DAY_MS,
  };
  const backlog = stations * (REPORTS_PER_DAY + EVENTS_PER_STATION_DAY + 1);
  const stage = await openStage({
    stations,
    seed,
    scenario: 'lunch',
    connect_per_s: herd ? 500 : CONNECT_PER_S,
    poll_interval_ms: 5_000,
    ready: herd ? 'connected' : 'began',
    cloud_away: herd,
    async prepare(fleet_dir, codes) {
      console.error(`filling the outboxes with ${backlog} records …`);
      fillBacklog(fleet_dir, codes, shape, Math.random, (done) =>
        console.error(`  ${done} stations`),
      );
    },
  });
  try {
    if (herd) await stage.service.startCloud();
    const began = clock.mono();
    const usage = stage.meter();
    await stage.newDelays();
    const seconds = await drained(stage, stations, began);
    const used = usage();
    const delays = await stage.delays();
    console.error('delays ', delays, '\nusage  ', used);
    const verdict = await auditCounts(stage);
    console.error('audit  ', verdict);
    return {
      stations,
      seed,
      ...verdict,
      backlog,
      seconds: Math.round(seconds),
      records_per_s: Math.round(backlog / seconds),
      live_events: delays.event.n,
      live_p50_ms: delays.event.p50_ms,
      live_p99_ms: delays.event.p99_ms,
      usage: used,
    };
  } finally {
    await stage.stop();
  }
}
