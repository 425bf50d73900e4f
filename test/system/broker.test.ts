/** Two gateways side by side on a real Mosquitto: either may die, and no station can be heard with another's credential. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { commandTopic, mosquittoAcl, uplinkTopic } from '@waystation/protocol/topics';
import { parseStationCode } from '@waystation/protocol/station-code';
import { signStationToken } from '@waystation/runtime/station-token';
import { localKeys } from '@waystation/scripts/local/keys';
import { startMosquitto, type TestMosquitto } from '../servers/mosquitto.ts';
import { requirePart } from '../servers/parts.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { Program, temporaryDirectory } from '../servers/process.ts';
import { differences, query, readCommitted } from './committed.ts';
import {
  CommandAnswer,
  someStations,
  Started,
  startTestStack,
  Station,
  until,
  type TestStack,
} from './local-stack.ts';

const ISSUED_AT_S = 1_790_000_000;
const OTHER = parseStationCode(someStations(1)[0] ?? '') ?? DEMO_STATION;
const GATEWAYS = ['gateway', 'gateway-2'] as const;

const directory = temporaryDirectory('broker');
const started = new Started();
let postgres: TestPostgres;
let broker: TestMosquitto;
let system: TestStack;
let tokens: Record<string, string>;

beforeAll(async () => {
  const keys = localKeys(directory.path);
  const key = createPrivateKey(readFileSync(keys.station_token_private_file));
  tokens = Object.fromEntries(
    [DEMO_STATION, OTHER].map((station) => [
      station,
      signStationToken(key, { station, issued_at_s: ISSUED_AT_S }),
    ]),
  );
  const password_file = join(directory.path, 'broker-password');
  writeFileSync(password_file, 'only-for-tests\n');
  postgres = started.add(await startPostgres());
  broker = started.add(
    await startMosquitto({
      accounts: { gateways: 'only-for-tests', ...tokens },
      acl: mosquittoAcl('gateways'),
    }),
  );
  system = started.add(
    await startTestStack({
      data_dir: directory.path,
      database: postgres.url,
      broker: { url: broker.url, username: 'gateways', password_file },
      gateways: 2,
      wall_clock: () => ISSUED_AT_S * 1000, // the token that Mosquitto was told
    }),
  );
});
afterAll(async () => {
  await started.stop();
  directory.remove();
});

async function openFromAfar(reason: string): Promise<void> {
  const { status, body } = await system.post(`/stations/${DEMO_STATION}/commands`, {
    kind: 'open',
    reason,
  });
  expect([status, body]).toMatchObject([202, { station: DEMO_STATION }]);
  const { id } = CommandAnswer.parse(body);
  const end = await until('the station answers', async () => {
    const command = CommandAnswer.parse(await system.get(`/commands/${id}`));
    return command.status === 'sent' || command.status === 'received' ? null : command;
  });
  expect(end).toMatchObject({ status: 'succeeded' });
}

/** What the gateways have posted since they started. */
async function posted(name: (typeof GATEWAYS)[number]): Promise<number> {
  const port = system.stack.processes.get(name)?.ready['http'];
  const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  return Number(text.match(/^waystation_gateway_uplink_messages_total (\d+)$/m)?.[1]);
}

test('records arrive exactly once and doors open from afar, whichever gateway dies', async () => {
  const member = await system.member('broker');
  const visits = async (count: number) => {
    for (let n = 0; n < count; n += 1)
      expect(await system.visit(member)).toMatchObject({ outcome: 'granted' });
  };
  await visits(40);
  await openFromAfar('both gateways live');
  const shares = await Promise.all(GATEWAYS.map(posted));
  for (const share of shares) expect(share).toBeGreaterThan(0);

  for (const victim of GATEWAYS) {
    await system.kill(victim);
    await visits(10);
    await openFromAfar(`${victim} is dead`);
    const { online } = Station.parse(await system.get(`/stations/${DEMO_STATION}`));
    expect(online).toBe(true);
    await system.stack.restart(victim);
  }
  await until('everything is committed', async () => {
    const rows = await query(
      postgres.url,
      `select count(*)::int as n from event where kind = 'access' and body->>'outcome' = 'granted'`,
    );
    return rows[0]?.['n'] === 63; // 60 cards, 3 from afar
  });
  const heads = await system.heads();
  expect(differences(heads, await readCommitted(postgres.url))).toEqual([]);
  expect(await query(postgres.url, 'select reason from dead_letter')).toEqual([]);
  console.log(
    `${shares.join(' + ')} messages by the two gateways before the first death; ` +
      heads.map(({ stream, head }) => `${head} ${stream}s`).join(', ') +
      ' committed, 0 lost, 0 duplicated; 3 of 3 opened from afar',
  );
});

test("a station's credential hears and says nothing in another's name", async () => {
  const port = ['-h', '127.0.0.1', '-p', String(broker.port), '-V', 'mqttv311'];
  const login = (user: string, password: string) => ['-u', user, '-P', password];
  const publish = (who: readonly string[], topic: string, message: string) =>
    execFileSync(requirePart('mosquitto_pub'), [
      ...port,
      ...who,
      '-q',
      '1',
      '-t',
      topic,
      '-m',
      message,
    ]);
  const other = login(OTHER, tokens[OTHER] ?? '');
  const gateways = login('gateways', 'only-for-tests');

  const wrong = new Program({
    command: requirePart('mosquitto_sub'),
    args: [...port, ...login(DEMO_STATION, tokens[OTHER] ?? ''), '-t', commandTopic(DEMO_STATION)],
  });
  await wrong.saw(/not authori[sz]ed/i);
  await wrong.end();

  // Mosquitto grants the subscription and keeps back what the rules do not let this user read.
  const filters = [
    commandTopic(DEMO_STATION),
    uplinkTopic(DEMO_STATION, 'event'),
    commandTopic(OTHER),
  ];
  const spy = new Program({
    command: 'stdbuf', // line by line: into a pipe it would hold its output back
    args: [
      '-oL',
      requirePart('mosquitto_sub'),
      ...port,
      ...other,
      '-v',
      '-d',
      ...filters.flatMap((filter) => ['-t', filter]),
    ],
  });
  await spy.saw(/Subscribed/);
  publish(gateways, commandTopic(DEMO_STATION), 'not-for-you');
  publish(gateways, commandTopic(OTHER), 'for-you');
  await spy.saw(/^\S+ for-you$/m);
  expect(spy.output).not.toContain('not-for-you');
  await spy.end();

  publish(other, uplinkTopic(DEMO_STATION, 'event'), 'forged');
  publish(other, uplinkTopic(OTHER, 'event'), 'own');
  const letters = await until('the own message is judged', async () => {
    const rows = await query(postgres.url, 'select topic, payload from dead_letter');
    return rows.length > 0 && rows;
  });
  expect(letters.map(({ topic }) => topic)).toEqual([uplinkTopic(OTHER, 'event')]);
});
