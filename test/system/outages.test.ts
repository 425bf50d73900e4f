/** Every part dies in the middle of the day, one after the other; people go in and out all the while, and nothing is missing. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { systemClock } from '@waystation/runtime/clock';
import type { Member } from '@waystation/scripts/local/member';
import { percentile } from '../bench/percentile.ts';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { temporaryDirectory } from '../servers/process.ts';
import { countPoints, differences, query, readCommitted } from './committed.ts';
import { Started, startTestStack, until, type Head, type TestStack } from './local-stack.ts';

/** Openings of the demo door that each outage must see. */
const OPENINGS_EACH = 8;
const FLEET_SIZE = 5;
const PAUSE_MS = 100;
const QUIET_MS = 1_000;
const SETTLE_ATTEMPTS = 5;
/** A station that lost its window waits 10 s for the acknowledgement before it sends again (edge/uplink/session.ts). */
const RESUME_MS = 25_000;

const clock = systemClock();
const directory = temporaryDirectory('outages');
const started = new Started();
let postgres: TestPostgres;
let influxd: TestInfluxd;
let system: TestStack;
let member: Member;

/** What people at the demo door met, by what was away just then. */
const granted_ms = new Map<string, number[]>();
const refused: string[] = [];
let unanswered = 0;
let phase = 'all is well';
const shop = { open: true };
let traffic: Promise<unknown> = Promise.resolve();

async function visitDemo(): Promise<void> {
  while (shop.open) {
    const during = phase;
    const answer = await system.visit(member);
    if (answer.outcome === 'granted')
      granted_ms.set(during, [...(granted_ms.get(during) ?? []), answer.decision_ms ?? Number.NaN]);
    else if (answer.outcome === 'unanswered') unanswered += 1;
    else refused.push(`${during}: ${answer.denial}`);
    await clock.sleep(PAUSE_MS);
  }
}
async function visitFleet(): Promise<void> {
  for (let turn = 0; shop.open; turn += 1) {
    await system.letIn(system.fleet_codes[turn % FLEET_SIZE] ?? '');
    await clock.sleep(PAUSE_MS);
  }
}

beforeAll(async () => {
  postgres = started.add(await startPostgres());
  influxd = started.add(await startInfluxd());
  const password_file = join(directory.path, 'influx-password');
  writeFileSync(password_file, influxd.password);
  const { url, database, username } = influxd;
  system = started.add(
    await startTestStack({
      fleet_size: FLEET_SIZE,
      fleet_pace: {
        report_interval_ms: 1_000,
        poll_interval_ms: 250,
        events_per_station_day: 5_000,
      },
      database: postgres.url,
      influx: { url, database, username, password_file },
    }),
  );
  member = await system.member('outages');
  traffic = Promise.all([visitDemo(), visitFleet()]);
});
afterAll(async () => {
  shop.open = false;
  await traffic;
  await started.stop();
  directory.remove();
});

/** Goes through an outage: the door is used while it lasts. */
async function outage(name: string, begin: () => Promise<unknown>, end: () => Promise<unknown>) {
  await begin();
  phase = name;
  await until(
    `${OPENINGS_EACH} openings while ${name}`,
    () => (granted_ms.get(name)?.length ?? 0) >= OPENINGS_EACH,
  );
  expect(refused).toEqual([]);
  phase = 'all is well';
  await end();
}
/** How long the demo station's events take to arrive again. */
async function resumed_ms(): Promise<number> {
  const [began, before] = [clock.mono(), await rowsOfDemo()];
  await until('events arrive again', async () => (await rowsOfDemo()) > before, RESUME_MS);
  return clock.mono() - began;
}
async function rowsOfDemo(): Promise<number> {
  const rows = await query(
    postgres.url,
    `select count(*)::int as n from event join station on station.id = station_id where code = '${DEMO_STATION}'`,
  );
  return Number(rows[0]?.['n']);
}

/** Resolves when no event has come for a while: the stations have said what they had to say. */
async function quiet(): Promise<void> {
  let [seen, since] = ['', clock.mono()];
  await until('the stations are quiet', async () => {
    const cursors = (await readCommitted(postgres.url)).filter(({ stream }) => stream === 'event');
    const now = JSON.stringify(cursors.map(({ station, through }) => [station, through]));
    if (now !== seen) [seen, since] = [now, clock.mono()];
    return clock.mono() - since > QUIET_MS;
  });
}

/** Stops the stations and compares. What came in the very last moment is sent after another start. */
async function settle(): Promise<Head[]> {
  for (let attempt = 1; ; attempt += 1) {
    await quiet();
    const heads = await system.heads();
    const left = differences(heads, await readCommitted(postgres.url));
    if (left.length > 0 && attempt < SETTLE_ATTEMPTS) {
      await Promise.all([system.stack.restart('demo-edge'), system.stack.restart('fleet')]);
      continue;
    }
    expect(left).toEqual([]);
    return heads;
  }
}

test('the door opens through every outage, and afterwards committed = produced', async () => {
  await until('the day begins', () => (granted_ms.get(phase)?.length ?? 0) >= OPENINGS_EACH);
  await outage(
    'PostgreSQL is dead',
    () => postgres.kill('SIGKILL'),
    () => postgres.restart(),
  );
  const resumed = await resumed_ms();
  await outage(
    'the cloud is dead',
    () => system.kill('cloud'),
    () => system.stack.restart('cloud'),
  );
  await outage(
    'the gateway is dead',
    () => system.kill('gateway'),
    () => system.stack.restart('gateway'),
  );
  await resumed_ms();
  await outage(
    'influxd is frozen, then dead',
    async () => {
      influxd.pause();
      await until('the backlog grows', async () => (await backlog()) > 0);
      await influxd.kill('SIGKILL');
    },
    () => influxd.restart(),
  );
  await outage(
    'the edge was killed and started again',
    async () => {
      await system.kill('demo-edge');
      await system.stack.restart('demo-edge');
    },
    resumed_ms,
  );
  shop.open = false;
  await traffic;

  const heads = await settle();
  await until('the backlog is replayed', async () => (await backlog()) === 0);
  const points = await countPoints(influxd);
  const samples = heads.filter(({ stream }) => stream === 'sample');
  for (const { station, head } of samples)
    expect([station, points.get(station)]).toEqual([station, head]);
  expect(await query(postgres.url, 'select reason from dead_letter')).toEqual([]);
  expect(await query(postgres.url, `select kind, detail from stream_fault`)).toEqual([]);

  const granted = [...granted_ms.values()].reduce((sum, { length }) => sum + length, 0);
  const [access] = await query(
    postgres.url,
    `select count(*)::int as n from event join station on station.id = station_id
     where code = '${DEMO_STATION}' and event.kind = 'access' and body->>'outcome' = 'granted'`,
  );
  expect(refused).toEqual([]);
  expect(Number(access?.['n'])).toBeGreaterThanOrEqual(granted);
  expect(Number(access?.['n'])).toBeLessThanOrEqual(granted + unanswered);
  const events = heads.filter(({ stream }) => stream === 'event');
  const sum = (of: readonly Head[]) => of.reduce((total, { head }) => total + head, 0);
  console.log(
    `${heads.length / 2} stations: ${sum(events)} events and ${sum(samples)} samples produced, all committed, 0 lost, 0 duplicated; ` +
      `${granted} openings, ${unanswered} scans met a dead agent; ` +
      `events arrived again ${Math.round(resumed)} ms after PostgreSQL was back`,
  );
  for (const [name, times] of granted_ms)
    console.log(
      `  ${name}: ${times.length} openings, p50 ${percentile(times, 50)} ms, worst ${percentile(times, 100)} ms`,
    );
});

async function backlog(): Promise<number> {
  const rows = await query(
    postgres.url,
    'select coalesce(sum(count), 0)::int as n from telemetry_backlog',
  );
  return Number(rows[0]?.['n']);
}
