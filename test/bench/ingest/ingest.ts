/**
 * Ingest capacity, end to end, everything on this machine: MQTT in, zod, commit in PostgreSQL and influxd, acknowledgement
 * back at the station. Two phases (one record a message; fifty), then an audit of both stores against what was produced.
 */
import pg from 'pg';
import { z } from 'zod';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import type { TestInfluxd } from '../../servers/influxd.ts';
import type { TestPostgres } from '../../servers/postgres.ts';
import { temporaryDirectory } from '../../servers/process.ts';
import { startOrderProcess } from '../order-process.ts';
import { startService } from '../service.ts';
import { measureRaw, mixedRate } from './raw.ts';

const STATIONS = 500;
const EVENT_EVERY = 5;
const BACKLOG_RECORDS = 50;

const RunAnswer = z.strictObject({
  records_per_s: z.number(),
  produced: z.int(),
  acked: z.int(),
  resends: z.int(),
});
type RunAnswer = z.output<typeof RunAnswer>;

/** Counts what both stores hold against what the stations produced and saw acknowledged. */
async function audit(postgres: TestPostgres, influx: TestInfluxd, produced: number) {
  const client = new pg.Client(postgres.url);
  client.on('error', () => {});
  await client.connect();
  const events = await client.query<{ n: string; distinct_n: string }>(
    'select count(*) n, count(distinct (station_id, generation, seq)) distinct_n from event',
  );
  await client.end();
  const answer = JSON.stringify(await influx.query('select count(temperature_cel) from report'));
  const samples = Number(answer.match(/\[0,(\d+)\]/)?.[1] ?? 0);
  const stored_events = Number(events.rows[0]?.n ?? 0);
  const duplicated = stored_events - Number(events.rows[0]?.distinct_n ?? 0);
  return {
    stored_events,
    stored_samples: samples,
    lost: produced - (stored_events - duplicated) - samples,
    duplicated,
  };
}

export async function benchIngest(seconds: number) {
  const directory = temporaryDirectory('bench-ingest');
  const service = await startService(directory.path);
  const { postgres, influx } = service;
  const load = startOrderProcess(new URL('load.ts', import.meta.url));
  try {
    const raw = await measureRaw(postgres.url, influx, Math.min(5, seconds));
    const stations = shandongStations(1)
      .slice(0, STATIONS)
      .map((station) => station.code);
    await load.ask({
      do: 'connect',
      port: service.gateway_port,
      key_file: service.keys.station_token_private_file,
      stations,
    });
    const phase = async (records: number, ahead: number): Promise<RunAnswer> =>
      RunAnswer.parse(
        await load.ask({ do: 'run', seconds, records, event_every: EVENT_EVERY, window: 8, ahead }),
      );
    const live = await phase(1, 10);
    console.error('live   ', live);
    const backlog = await phase(BACKLOG_RECORDS, 3);
    console.error('backlog', backlog);
    const stored = await audit(postgres, influx, live.produced + backlog.produced);
    console.error('raw    ', raw, 'stored', stored);
    return {
      live_records_per_s: Math.round(live.records_per_s),
      backlog_records_per_s: Math.round(backlog.records_per_s),
      ratio_to_raw: Number((backlog.records_per_s / mixedRate(raw, 1 / EVENT_EVERY)).toFixed(2)),
      lost: stored.lost,
      duplicated: stored.duplicated,
      produced: live.produced + backlog.produced,
      resends: backlog.resends,
      raw_events_per_s: Math.round(raw.events_per_s),
      raw_samples_per_s: Math.round(raw.samples_per_s),
    };
  } finally {
    load.end();
    await service.stop();
    directory.remove();
  }
}
