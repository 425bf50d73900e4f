import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { ackTopic, mosquittoAcl, stateTopic, uplinkTopic } from '@waystation/protocol/topics';
import type { StationCode } from '@waystation/protocol/station-code';
import { startMosquitto, type TestMosquitto } from '../servers/mosquitto.ts';
import { requirePart } from '../servers/parts.ts';
import { Program, temporaryDirectory } from '../servers/process.ts';
import {
  birth,
  configure,
  connectStation,
  honest,
  station,
  uplinkPayload,
  type TestStation,
} from './harness.ts';
import { startStubCloud, type StubCloud } from './stub-cloud.ts';

const STATIONS = Array.from({ length: 20 }, (_, number) => station(number));
const PASSWORD = 'station-password';
const MAIN = new URL('../../gateway/main.ts', import.meta.url).pathname;

let broker: TestMosquitto;
let cloud: StubCloud;
let directory: ReturnType<typeof temporaryDirectory>;
let gateways: Program[] = [];

async function setUp(): Promise<void> {
  directory = temporaryDirectory('external-broker');
  cloud = await startStubCloud();
  // The rules as an operator gets them.
  const acl = execFileSync(process.execPath, [MAIN, '--print-acl', 'mosquitto', 'gateway'], {
    encoding: 'utf8',
  });
  expect(acl).toBe(mosquittoAcl('gateway'));
  const accounts = Object.fromEntries([
    ['gateway', 'gateway-password'],
    ...STATIONS.map((code) => [code, PASSWORD]),
  ]);
  broker = await startMosquitto({ accounts, acl });
  writeFileSync(join(directory.path, 'broker.password'), 'gateway-password\n');
}

async function startProcess(id: string): Promise<{ program: Program; http_port: number }> {
  const { listen: _listen, ...config } = configure(directory.path, cloud.url, {
    id,
    broker: {
      url: broker.url,
      username: 'gateway',
      password_file: join(directory.path, 'broker.password'),
    },
    log_level: 'info',
  });
  const file = join(directory.path, `${id}.json`);
  writeFileSync(file, JSON.stringify(config));
  const program = new Program({ command: process.execPath, args: [MAIN, '--config', file] });
  gateways.push(program);
  const ready = await program.saw(/"event":"ready".*"http":(\d+)/);
  const http_port = Number(ready[1]);
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${http_port}/readyz`)).status)
    .toBe(200);
  return { program, http_port };
}

async function metric(http_port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${http_port}/metrics`)).text();
  return Number(text.match(new RegExp(`^waystation_gateway_${name} (\\d+)$`, 'm'))?.[1]);
}

const arrive = (code: StationCode) =>
  connectStation(broker.url, code, { ...honest(code), password: PASSWORD });

/** A station's uplink in little: a window of messages, the cumulative acknowledgement, sending again. */
function produce(
  here: TestStation,
  total: number,
  wrong: string[],
): { through: () => number; stop: () => void } {
  const WINDOW = 4;
  let through = 0;
  let sent = 0;
  let seen = 0;
  const fill = () => {
    while (sent < Math.min(total, through + WINDOW)) here.send('event', (sent += 1));
  };
  const again = () => {
    sent = through;
    fill();
  };
  here.client.on('message', () => {
    for (const ack of here.acks.slice(seen)) {
      const committed = cloud.cursors.get(`${here.code}/event`)?.through ?? 0;
      if (ack.through > committed) wrong.push(`${here.code} ${ack.through} > ${committed}`);
      through = Math.max(through, ack.through);
      if (ack.problem === 'gap') sent = Math.max(through, Math.min(sent, ack.through));
    }
    seen = here.acks.length;
    fill();
  });
  fill();
  const timer = setInterval(again, 400);
  return { through: () => through, stop: () => clearInterval(timer) };
}

afterEach(async () => {
  for (const program of gateways) await program.end('SIGTERM');
  gateways = [];
  await broker.stop();
  await cloud.stop();
  directory.remove();
});

test('records, acknowledgements, commands and presence through a broker of others', async () => {
  await setUp();
  const here = await arrive(station(1));
  await here.publishState(birth('a'));
  // Born before any gateway was there: the retained state tells.
  const { program } = await startProcess('gateway-a');
  await cloud.until(() => cloud.presence.length === 1);
  here.send('event', 1, 3);
  await expect.poll(() => here.acks.at(-1)?.through).toBe(3);
  const command = { kind: 'keySet', version: 1, body: 'AAAA' } as const;
  cloud.send({ station: here.code, command });
  await expect.poll(() => here.commands).toEqual([command]);
  here.cut();
  await cloud.until(() => cloud.presence.length === 2);
  expect(cloud.presence.map(({ presence }) => presence.state)).toEqual(['online', 'offline']);
  expect(await program.end('SIGTERM')).toBe(0);
});

test('two gateways share the stations; one is killed, the broker is killed: what is acknowledged is committed, and all arrives', async () => {
  await setUp();
  const first = await startProcess('gateway-a');
  const second = await startProcess('gateway-b');
  const wrong: string[] = [];
  const TOTAL = 150;
  const stations = await Promise.all(STATIONS.map(arrive));
  const flows = stations.map((here) => produce(here, TOTAL, wrong));
  const least = () => Math.min(...flows.map((flow) => flow.through()));
  await expect.poll(least, { timeout: 30_000 }).toBeGreaterThan(20);
  expect(await metric(first.http_port, 'uplink_messages_total')).toBeGreaterThan(0);
  expect(await metric(second.http_port, 'uplink_messages_total')).toBeGreaterThan(0);
  await first.program.end('SIGKILL');
  await expect.poll(least, { timeout: 30_000 }).toBe(TOTAL);
  for (const flow of flows) flow.stop();
  for (const here of stations) {
    const mine = cloud.committed.filter((key) => key.startsWith(`${here.code}/`));
    expect(mine).toEqual(Array.from({ length: TOTAL }, (_, at) => `${here.code}/event/${at + 1}`));
  }
  expect(wrong).toEqual([]);
  await broker.kill('SIGKILL');
  await second.program.saw(/"event":"broker.lost"/);
  await broker.restart();
  await second.program.saw(/"event":"broker.restored"/);
  const again = await arrive(station(1));
  again.send('event', TOTAL + 1);
  await expect.poll(() => again.acks.at(-1)?.through).toBe(TOTAL + 1);
  // The broker deals messages out in turn, so some overtake others: the run has met that, too.
  expect(cloud.gaps).toBeGreaterThan(0);
}, 90_000);

test("the broker's rules from our topic table: a station reaches its own topics and no others", async () => {
  await setUp();
  await startProcess('gateway-a');
  const run = promisify(execFile);
  const as = (code: StationCode) => [
    '-h',
    '127.0.0.1',
    '-p',
    String(broker.port),
    '-u',
    code,
    '-P',
    PASSWORD,
  ];
  const pub = requirePart('mosquitto_pub');
  const sub = requirePart('mosquitto_sub');
  const mine = station(1);
  const other = station(2);
  const victim = await arrive(other);
  await run(pub, [...as(mine), '-t', uplinkTopic(other, 'event'), '-m', uplinkPayload(1)]);
  await run(pub, [
    ...as(mine),
    '-t',
    stateTopic(other),
    '-m',
    JSON.stringify(birth('f')),
    '-q',
    '1',
    '-r',
  ]);
  await run(pub, [
    ...as(mine),
    '-t',
    ackTopic(other),
    '-m',
    '{"stream":"event","epoch":"0123456789ab","through":99}',
  ]);
  const spy = run(sub, [
    ...as(mine),
    '-t',
    ackTopic(other),
    '-t',
    'ws/1/+/ack',
    '-t',
    '#',
    '-t',
    '$SYS/broker/version',
    '-W',
    '2',
  ]);
  const spied = spy.catch((error: unknown) => error as { stdout: string });
  for (let seq = 1; seq <= 3; seq += 1) {
    victim.send('event', seq);
    await expect.poll(() => victim.acks.at(-1)?.through).toBe(seq);
  }
  expect((await spied).stdout).toBe('');
  expect(victim.acks.map(({ through }) => through)).toEqual([1, 2, 3]);
  expect(cloud.committed).toEqual([1, 2, 3].map((seq) => `${other}/event/${seq}`));
  expect(cloud.presence).toEqual([]);
});
