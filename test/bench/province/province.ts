/**
 * The whole province over real MQTT connections: steady reports and visits for some minutes, then an audit of every record.
 * The delay is taken at the station, from the making of a record to the acknowledgement of its commit: an upper bound.
 */
import { systemClock } from '@waystation/runtime/clock';
import { pointTimes } from './telemetry.ts';
import { auditEvents, auditSamples, readEvents, readLedger, together } from './audit.ts';
import { EVENTS_PER_STATION_DAY, openStage, REPORT_INTERVAL_MS, type Stage } from './stage.ts';

const SETTLED_WITHIN_MS = 60_000;
const LEDGER_LAG_MS = 1_000;
const DAY_S = 86_400;

const clock = systemClock();

export interface ProvinceOptions {
  seconds: number;
  stations: number;
  seed: number;
}

/** Holds both stores against the ledger, up to what was durable at the call. */
export async function auditStage(stage: Stage) {
  const until = await stage.heads();
  await stage.settled(until, SETTLED_WITHIN_MS);
  const events = await readEvents(stage.service.postgres.url);
  const points = await pointTimes(stage.service.influx);
  // Last: whatever the stores hold was in the ledger's buffer before, and is written down by now.
  await clock.sleep(LEDGER_LAG_MS);
  const book = await readLedger(stage.ledger_path);
  return together(auditEvents(events, book, until), auditSamples(book, points, until));
}

export async function benchProvince({ seconds, stations, seed }: ProvinceOptions) {
  const stage = await openStage({
    stations,
    seed,
    scenario: 'lunch',
    connect_per_s: 200,
    poll_interval_ms: 2_000,
  });
  try {
    const connected = await stage.totals();
    console.error(`${connected.connected} stations connected`);
    // One report each, so that the beginnings do not count as steady.
    await clock.sleep(Math.min(REPORT_INTERVAL_MS, 1_000 * seconds));
    await stage.newDelays();
    const before = await stage.totals();
    const usage = stage.meter();
    await clock.sleep(1_000 * seconds);
    const used = usage();
    const after = await stage.totals();
    const delays = await stage.delays();
    console.error('delays ', delays, '\nusage  ', used);
    const verdict = await auditStage(stage);
    console.error('audit  ', verdict);
    const bytes =
      after.bytes_sent + after.bytes_received - before.bytes_sent - before.bytes_received;
    const cores = (used['gateway']?.cores ?? 0) + (used['cloud']?.cores ?? 0);
    return {
      stations: after.connected,
      seconds,
      seed,
      scenario: 'lunch',
      events_per_station_day: EVENTS_PER_STATION_DAY,
      records: verdict.produced,
      committed: verdict.committed,
      lost: verdict.lost,
      duplicated: verdict.duplicated,
      changed: verdict.changed,
      invented: verdict.invented,
      visits: after.visits - before.visits,
      p50_ms: Math.max(delays.event.p50_ms, delays.sample.p50_ms),
      p99_ms: Math.max(delays.event.p99_ms, delays.sample.p99_ms),
      delays,
      cores_gateway_cloud: Number(cores.toFixed(3)),
      usage: used,
      bytes_station_day: Math.round((bytes / stations / seconds) * DAY_S),
      ...(Object.keys(verdict.first).length > 0 ? { first: verdict.first } : {}),
    };
  } finally {
    await stage.stop();
  }
}
