/** The agent as a process on real pseudo-terminals, from its sources and as the bundled file: it serves without any network. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleEdge } from '@waystation/edge/bundle';
import { stationCode } from '@waystation/protocol/station-code';
import { hex } from '@waystation/protocol/card/cbor';
import { describePublicKey } from '@waystation/runtime/p256';
import { type LocalProcess, startProcess } from '@waystation/scripts/local/process';
import { connectSimulator, type Simulator } from '@waystation/scripts/local/simulator';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../servers/process.ts';

const STATION = stationCode('370811011', 'W', 1);
const MAIN = fileURLToPath(new URL('../../edge/main.ts', import.meta.url));

describe('the agent as a process', () => {
  const directory = temporaryDirectory('edge-process');
  const parts: LocalProcess[] = [];
  let simulator: Simulator;

  const config = () => {
    const root_keys_file = join(directory.path, 'root.json');
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = hex(describePublicKey(publicKey).kid);
    writeFileSync(
      root_keys_file,
      JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] }),
    );
    const password_file = join(directory.path, 'token');
    writeFileSync(password_file, 'nobody asks\n');
    return {
      station: STATION,
      data_dir: join(directory.path, 'edge'),
      gateway: { url: 'mqtt://127.0.0.1:1', password_file },
      field_bus: { path: join(directory.path, 'field-bus'), baud: 115_200 },
      reader: { path: join(directory.path, 'reader'), baud: 115_200 },
      trust: { root_keys_file },
      clock: { source: 'host' },
      http: { host: '127.0.0.1', port: 0 },
    };
  };

  beforeAll(async () => {
    const { path } = directory;
    const args = ['--station', STATION, '--data', path, '--links', path];
    parts.push(
      await startProcess({ name: 'hardware', entry: 'firmware-sim/main.ts', args, data_dir: path }),
    );
    simulator = await connectSimulator(join(path, 'simulator.sock'));
  });
  afterAll(async () => {
    simulator.close();
    for (const part of parts.reverse()) await part.stop();
    directory.remove();
  });

  test.each([
    ['from its sources', 'edge/main.ts'],
    ['bundled', 'edge/dist/edge.mjs'],
  ])('%s: ready, decides at the door, tells its metrics, ends cleanly', async (_, entry) => {
    await bundleEdge();
    const began = performance.now();
    const edge = await startProcess({
      name: 'edge',
      entry,
      args: [],
      config: config(),
      data_dir: directory.path,
    });
    parts.push(edge);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(edge.ready).toMatchObject({ station: STATION, door: true });

    expect(await simulator.scan(STATION, 'https://example.org')).toMatchObject({
      outcome: 'denied',
      denial: 'notOurCode',
    });
    expect(await simulator.scan(STATION, 'WS1:ABC')).toMatchObject({
      outcome: 'denied',
      denial: 'unreadable',
    });

    const url = `http://127.0.0.1:${String(edge.ready['http_port'])}`;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('waystation_edge_door_answers_total{outcome="notOurCode"} 1\n');
    expect(metrics).toMatch(/waystation_edge_field_bus_total\{kind="replies"\} [1-9]/);
    expect(metrics).toMatch(/waystation_edge_outbox_total\{kind="commits"\} [1-9]/);

    const stopped = performance.now();
    expect(await edge.stop()).toBe(0);
    expect(performance.now() - stopped).toBeLessThan(5_000);
  });

  test('refuses a wrong call and a wrong file with the field and the next step', () => {
    const bad = join(directory.path, 'bad.json');
    writeFileSync(bad, '{"station":"370811011W0001A"}');
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
    expect(run()).toMatchObject({ status: 2, stderr: expect.stringMatching(/USAGE[\s\S]*--help/) });
    expect(run('--config', bad)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/field=station[\s\S]*--print-config/),
    });
    expect(run('--config', '/nowhere')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/CONFIG_UNREADABLE/),
    });
    expect(run('--help').stdout).toContain('--check-config');
    const sample = run('--print-config').stdout;
    writeFileSync(bad, sample);
    expect(run('--config', bad, '--check-config')).toMatchObject({ status: 0 });
  });
});
