/** The fleet as a process, in front of a real gateway and a cloud that counts. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openCardKeys } from '@waystation/cloud/cards/key-store';
import { GatewayConfig } from '@waystation/gateway/config';
import { startGateway } from '@waystation/gateway/gateway';
import { stationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { GATEWAY_TOKEN, startStubCloud } from '../gateway/stub-cloud.ts';
import { Program, temporaryDirectory } from '../servers/process.ts';

const ENTRY = fileURLToPath(new URL('../../firmware-sim/fleet/main.ts', import.meta.url));
const STATIONS = Array.from({ length: 24 }, (_, index) =>
  stationCode('370811011', index % 2 === 0 ? 'W' : 'M', index),
);
const clock = systemClock();

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

/** A gateway, a counting cloud, and a fleet's configuration file for them. */
async function setUp() {
  const directory = temporaryDirectory('fleet');
  cleanup.push(() => directory.remove());
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(directory.path, name), content);
    return join(directory.path, name);
  };
  const keys = generateKeyPairSync('ed25519');
  const cloud = await startStubCloud();
  cleanup.push(() => cloud.stop());
  const gateway = await startGateway(
    GatewayConfig.parse({
      id: 'gateway-test',
      listen: { mqtt: { host: '127.0.0.1', port: 0 } },
      cloud: { url: cloud.url, token_file: file('gateway.token', GATEWAY_TOKEN) },
      station_key_file: file('public.pem', keys.publicKey.export({ type: 'spki', format: 'pem' })),
      http: { host: '127.0.0.1', port: 0 },
    }),
    { clock, random: Math.random, log: silentLog },
  );
  cleanup.push(() => gateway.stop());
  const config = file(
    'fleet.json',
    JSON.stringify({
      stations: STATIONS,
      data_dir: directory.path,
      gateway: { url: `mqtt://127.0.0.1:${gateway.ports.mqtt}` },
      token_key_file: file('private.pem', keys.privateKey.export({ type: 'pkcs8', format: 'pem' })),
      root_keys_file: file(
        'roots.json',
        openCardKeys(
          join(directory.path, 'cards'),
          Math.floor(clock.wall() / 1000),
        ).rootPublicJson(),
      ),
      report_interval_ms: 1_000,
      poll_interval_ms: 200,
      events_per_station_day: 100_000,
      connect_per_s: 500,
    }),
  );
  const start = async () => {
    const program = new Program({ command: process.execPath, args: [ENTRY, '--config', config] });
    cleanup.push(() => program.end('SIGKILL'));
    await program.saw(/"event":"ready"/);
    return program;
  };
  return { cloud, start, control: join(directory.path, 'simulator.sock') };
}

async function ask(control: string, request: unknown): Promise<unknown> {
  const socket = connect(control);
  socket.write(`${JSON.stringify(request)}\n`);
  for await (const line of createInterface({ input: socket })) {
    socket.destroy();
    return JSON.parse(line);
  }
  throw new Error('the fleet closed the socket');
}

const Totals = z.looseObject({
  visits: z.number(),
  events: z.number(),
  samples: z.number(),
  events_acked: z.number(),
});

test('every record of every station arrives once and in order, over a stop and a kill', async () => {
  const { cloud, start, control } = await setUp();
  const first = await start();
  await cloud.until(() => cloud.committed.length > 250);
  expect(await first.end('SIGTERM')).toBe(0);
  const goodbyes = () =>
    cloud.presence.filter(({ presence }) => presence.state === 'offline' && presence.clean);
  await cloud.until(() => goodbyes().length === STATIONS.length);

  const second = await start();
  const before = cloud.committed.length;
  await cloud.until(() => cloud.committed.length > before + 250);
  await second.end('SIGKILL');

  await start();
  const again = cloud.committed.length;
  await cloud.until(() => cloud.committed.length > again + 250);
  const totals = Totals.parse(await ask(control, { do: 'report', of: 'totals' }));
  expect(totals).toMatchObject({ stations: STATIONS.length, started: STATIONS.length });
  expect(new Set(cloud.committed).size).toBe(cloud.committed.length);
  expect(cloud.cursors.size).toBe(STATIONS.length * 2);
  for (const [key, { through }] of cloud.cursors) {
    expect(cloud.committed.filter((record) => record.startsWith(`${key}/`))).toHaveLength(through);
  }
});

test('any station’s reader can be scanned at through the socket', async () => {
  const { start, control } = await setUp();
  await start();
  const scan = (station: unknown) => ask(control, { do: 'scan', station, text: 'HELLO' });
  expect(await scan(STATIONS[7])).toMatchObject({
    outcome: 'denied',
    denial: 'notOurCode',
    decision_ms: expect.any(Number),
  });
  expect(await scan(undefined)).toEqual({ error: 'station: say which, there are several' });
  expect(await ask(control, { do: 'report', of: 'weather' })).toEqual({
    error: 'of: say one of totals, positions, delays, newDelays',
  });
});

test('a configuration that cannot be is refused with the field', async () => {
  const directory = temporaryDirectory('fleet-config');
  cleanup.push(() => directory.remove());
  const file = join(directory.path, 'fleet.json');
  writeFileSync(
    file,
    JSON.stringify({
      stations: ['X'],
      data_dir: 'd',
      gateway: { url: 'mqtt://h:1' },
      token_key_file: 't',
      root_keys_file: 'r',
    }),
  );
  const program = new Program({ command: process.execPath, args: [ENTRY, '--config', file] });
  const exited = once(program.child, 'exit');
  await program.saw(/CONFIG_INVALID.*stations/);
  expect(await exited).toEqual([2, null]);
});
