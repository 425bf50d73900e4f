/**
 * Ingest capacity, end to end, everything on this machine: MQTT in, zod, commit in PostgreSQL and influxd, acknowledgement
 * back at the station. Two phases (one record a message; fifty), then an audit of both stores against what was produced.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { z } from 'zod';
import { shandongStations } from '@waystation/cloud/seed/shandong';
import { localKeys } from '@waystation/scripts/local/keys';
import { startProcess } from '@waystation/scripts/local/process';
import { startInfluxd, type TestInfluxd } from '../../servers/influxd.ts';
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts';
import { freePort, temporaryDirectory } from '../../servers/process.ts';
import { measureRaw, mixedRate } from './raw.ts';
import { writeFileSync } from 'node:fs';

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

/** The load process: one order out, one answer back. */
function startLoad() {
  const child = spawn(process.execPath, [fileURLToPath(new URL('load.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(order: object): Promise<unknown> {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const line = await lines.next();
      if (line.done) throw new Error('the load process ended');
      return JSON.parse(line.value);
    },
    end: () => child.stdin.end('{"do":"end"}\n'),
  };
}

async function startService(data_dir: string, postgres: TestPostgres, influx: TestInfluxd) {
  const keys = localKeys(data_dir);
  const [http_port, mqtt_port] = [await freePort(), await freePort()];
  const password_file = join(data_dir, 'influx.password');
  writeFileSync(password_file, `${influx.password}\n`, { mode: 0o600 });
  const cloud = await startProcess({
    name: 'cloud',
    entry: 'cloud/main.ts',
    args: [],
    data_dir,
    config: {
      listen: { host: '127.0.0.1', port: http_port },
      data_dir: join(data_dir, 'cloud'),
      database: postgres.url,
      influx: {
        url: influx.url,
        flavour: 1,
        database: influx.database,
        username: influx.username,
        password_file,
      },
      gateway_token_file: keys.gateway_token_file,
      keys_dir: keys.directory,
      demo_visitor: true,
      seed: { stations: 'shandong' },
      log_level: 'info',
    },
  });
  const gateway = await startProcess({
    name: 'gateway',
    entry: 'gateway/main.ts',
    args: [],
    data_dir,
    config: {
      id: 'gateway-bench',
      listen: { mqtt: { host: '127.0.0.1', port: mqtt_port } },
      cloud: { url: `http://127.0.0.1:${http_port}`, token_file: keys.gateway_token_file },
      station_key_file: keys.station_token_public_file,
      http: { host: '127.0.0.1', port: 0 },
      limits: { messages_per_s: 100_000 },
      log_level: 'info',
    },
  });
  return { keys, mqtt_port, processes: [gateway, cloud] };
}

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
  const [postgres, influx] = [await startPostgres(), await startInfluxd()];
  const service = await startService(directory.path, postgres, influx);
  const load = startLoad();
  try {
    const raw = await measureRaw(postgres.url, influx, Math.min(5, seconds));
    const stations = shandongStations(1)
      .slice(0, STATIONS)
      .map((station) => station.code);
    await load.ask({
      do: 'connect',
      port: service.mqtt_port,
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
    for (const part of service.processes) await part.stop();
    await influx.stop();
    await postgres.stop();
    directory.remove();
  }
}
