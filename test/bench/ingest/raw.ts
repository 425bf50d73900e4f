/** What the two stores take by themselves, without us: the same mixture, prepared bodies, three batches in flight. */
import { Agent, request } from 'node:http';
import pg from 'pg';
import type { TestInfluxd } from '../../servers/influxd.ts';

const BATCH = 400;
const IN_FLIGHT = 3;

const CREATE = `create table if not exists raw_event (station_id int not null, epoch text collate "C" not null, seq bigint not null,
  kind text not null, at timestamptz not null, received_at timestamptz not null, body jsonb not null, primary key (station_id, epoch, seq))`;
const INSERT = `insert into raw_event select r.* from jsonb_to_recordset($1::jsonb)
  as r(station_id int, epoch text, seq bigint, kind text, at timestamptz, received_at timestamptz, body jsonb)`;

function eventBatch(from: number): string {
  const at = new Date(1_780_000_000_000 + from).toISOString();
  const rows = Array.from({ length: BATCH }, (_, n) => ({
    station_id: (from + n) % 1000,
    epoch: '0123456789ab',
    seq: from + n,
    kind: 'door',
    at,
    received_at: at,
    body: { from: 'secured', to: 'released', cause: 'card', mono: from + n, boot: 'beefcafe' },
  }));
  return JSON.stringify(rows);
}

function sampleBatch(from: number): string {
  const lines = Array.from({ length: BATCH }, (_, n) => {
    const tenth = (from + n) % 10;
    return `raw,station=S${(from + n) % 1000},org=370811011 occupancy_count=3,water_level_percent=80.${tenth},cups_count=290,tissue_percent=55.5,battery_percent=98.${tenth},temperature_cel=24.${tenth},humidity_percent=41.${tenth},co2_ppm=60${tenth} ${1_780_000_000_000 + from + n}`;
  });
  return lines.join('\n');
}

/** Repeats `work` from IN_FLIGHT loops until the time is over; returns records per second. */
async function repeat(seconds: number, work: (from: number) => Promise<void>): Promise<number> {
  const began = performance.now();
  let from = 1;
  const loop = async () => {
    while (performance.now() - began < seconds * 1000) {
      const mine = from;
      from += BATCH;
      await work(mine);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return ((from - 1) * 1000) / (performance.now() - began);
}

function writeLines(influx: TestInfluxd, agent: Agent, body: string): Promise<void> {
  const headers = { authorization: `Basic ${btoa(`${influx.username}:${influx.password}`)}` };
  return new Promise((resolve, reject) => {
    const sent = request(
      `${influx.url}/write?db=${influx.database}&precision=ms`,
      { method: 'POST', agent, headers },
      (answer) => {
        answer.resume();
        answer.on('end', () =>
          answer.statusCode === 204
            ? resolve()
            : reject(new Error(`influxd answered ${answer.statusCode}`)),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

export interface RawRates {
  events_per_s: number;
  samples_per_s: number;
}

/** Each store alone, one after the other: the best it does on this machine now. */
export async function measureRaw(
  database_url: string,
  influx: TestInfluxd,
  seconds: number,
): Promise<RawRates> {
  const pool = new pg.Pool({ connectionString: database_url, max: IN_FLIGHT });
  await pool.query(CREATE);
  await pool.query('truncate raw_event');
  const events_per_s = await repeat(seconds, async (from) => {
    await pool.query(INSERT, [eventBatch(from)]);
  });
  await pool.query('drop table raw_event');
  await pool.end();
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const samples_per_s = await repeat(seconds, (from) =>
    writeLines(influx, agent, sampleBatch(from)),
  );
  agent.destroy();
  return { events_per_s, samples_per_s };
}

/** The rate at which both together take a mixture, by the time each record costs: harmonic, as they share two cores. */
export function mixedRate(raw: RawRates, event_share: number): number {
  return 1 / (event_share / raw.events_per_s + (1 - event_share) / raw.samples_per_s);
}
