/** The door among strangers: a QR image read by zbar, the bundled agent on a Modbus slave that is not ours. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { openPty, type Pty } from '@waystation/firmware-sim/pty';
import { qrPng } from '@waystation/firmware-sim/qr-image';
import { decodeBase45, encodeBase45 } from '@waystation/protocol/card/base45';
import { PREFIX } from '@waystation/protocol/card/presentation';
import { systemClock } from '@waystation/runtime/clock';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { requirePart } from '../servers/parts.ts';
import { Program, temporaryDirectory } from '../servers/process.ts';
import { Events, startTestStack, Station, until, type TestStack } from './local-stack.ts';

const clock = systemClock();
const directory = temporaryDirectory('independent');
const file = (name: string) => join(directory.path, name);
let system: TestStack;
beforeAll(async () => {
  system = await startTestStack();
});
afterAll(async () => {
  await system.stop();
  directory.remove();
});

/** The code as a picture, and what a decoder that is not ours reads from it. */
function throughCamera(text: string): string {
  writeFileSync(file('code.png'), qrPng(text));
  const options = ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable'];
  return execFileSync(requirePart('zbarimg'), [...options, file('code.png')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'], // it asks for a desktop bus and complains
  }).replace(/\n$/, '');
}

test('a picture of the code, read by zbar, opens the demo door', async () => {
  const member = await system.member('camera');
  const demo = await system.demo();
  const answer = await demo.scan(DEMO_STATION, throughCamera(member.present(clock.wall())));
  expect(answer).toMatchObject({ outcome: 'granted' });
  await until('the province knows', async () => {
    const { today } = Station.parse(await system.get(`/stations/${DEMO_STATION}`));
    return today.openings === 1;
  });
  console.log(`zbar read the code; the door opened in ${answer.decision_ms} ms`);
});

/** The bundled agent, its field bus on modbus-serial's server, its reader on a line that the test writes. */
class StrangersStation {
  readonly slave: Program;
  readonly #cable: Program;
  readonly #reader: Pty;
  readonly #edge: LocalProcess;
  #heard = '';

  private constructor(cable: Program, slave: Program, reader: Pty, edge: LocalProcess) {
    this.#cable = cable;
    this.slave = slave;
    this.#reader = reader;
    this.#edge = edge;
    reader.onData((bytes) => (this.#heard += Buffer.from(bytes).toString()));
  }

  static async start(bundle: string): Promise<StrangersStation> {
    const [ours, theirs] = [file('bus-agent'), file('bus-slave')];
    const cable = new Program({
      command: requirePart('socat'),
      args: [`pty,raw,echo=0,link=${ours}`, `pty,raw,echo=0,link=${theirs}`],
    });
    await until('the cable is there', () => existsSync(ours) && existsSync(theirs));
    const slave = new Program({
      command: process.execPath,
      args: [fileURLToPath(new URL('../bus/independent-slave.ts', import.meta.url)), theirs],
    });
    await slave.saw(/^ready$/m);
    const reader = openPty({ link: file('reader') });
    const config: unknown = JSON.parse(
      readFileSync(join(system.data_dir, 'config', 'demo-edge.json'), 'utf8'),
    );
    const edge = await startProcess({
      name: 'bundled-edge',
      entry: bundle,
      args: [],
      config: Object.assign({}, config, {
        field_bus: { path: ours, baud: 115_200 },
        reader: { path: file('reader'), baud: 115_200 },
      }),
      data_dir: system.data_dir,
    });
    return new StrangersStation(cable, slave, reader, edge);
  }

  /** Shows a code; the agent's word back to the reader: `+granted`, or `-` and the denial. */
  async show(text: string): Promise<string> {
    this.#heard = '';
    this.#reader.write(Buffer.from(`${text}\r\n`));
    const answer = await until('the reader is answered', () =>
      this.#heard.match(/^([+-]\w+);.*\r\n/),
    );
    return answer[1] ?? '';
  }

  releases(): number {
    return this.slave.output.split('{"coil":0,"on":true}').length - 1;
  }

  async stop(): Promise<void> {
    await this.#edge.stop();
    this.#reader.close();
    await this.slave.end();
    await this.#cable.end();
  }
}

/** The last bit of the holder's signature turned over. */
function forge(text: string): string {
  const bytes = decodeBase45(text.slice(PREFIX.length));
  if (bytes === null) throw new Error('not base45');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return PREFIX + encodeBase45(bytes);
}

test('the bundled agent opens a foreign lock for a good card only', async () => {
  await system.stack.processes.get('demo-edge')?.stop();
  execFileSync(process.execPath, [fileURLToPath(new URL('../../edge/bundle.ts', import.meta.url))]);
  const member = await system.member('strangers');
  const station = await StrangersStation.start('edge/dist/edge.mjs');
  try {
    const good = member.present(clock.wall());
    expect(await station.show(good)).toBe('+granted');
    await station.slave.saw(/\{"coil":0,"on":true\}/);
    const releases = station.releases();

    const said: Record<string, string> = {};
    said['stale'] = await station.show(member.present(clock.wall() - 120_000));
    said['replayed'] = await station.show(good);
    said['forged'] = await station.show(forge(member.present(clock.wall())));

    const began = clock.mono();
    const before = await statusListVersion();
    const { status } = await system.post(`/cards/${member.index}/revoke`, { reason: 'lost phone' });
    expect(status).toBe(204);
    await until('the station has the new list', async () => (await statusListVersion()) > before);
    const revoked_after_ms = clock.mono() - began;
    said['revoked'] = await station.show(member.present(clock.wall()));
    expect(said).toEqual({
      stale: '-presentationStale',
      replayed: '-replayed',
      forged: '-badHolderSignature',
      revoked: '-revoked',
    });
    expect(station.releases()).toBe(releases);
    expect(revoked_after_ms).toBeLessThan(5_000);
    console.log(
      `coil 0 released ${releases}x; 4 of 4 bad codes refused, a revocation in force after ${Math.round(revoked_after_ms)} ms`,
    );
  } finally {
    await station.stop();
  }
});

/** By the station's own newest word. */
async function statusListVersion(): Promise<number> {
  const { rows } = Events.parse(await system.get(`/stations/${DEMO_STATION}/events?limit=50`));
  const newest = rows.find(({ kind }) => kind === 'trust' || kind === 'snapshot');
  return Number(newest?.summary['status_list_version'] ?? 0);
}
