/** MQTT 3.1.1 at the TLS door: what could differ there, since bytes come and go in records. See docs/mqtt-conformance.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { stateTopic } from '@waystation/protocol/topics';
import type { StationCode } from '@waystation/protocol/station-code';
import { temporaryDirectory } from '../servers/process.ts';
import { birth, death, startTestBed, station, type TestBed } from './harness.ts';
import {
  acceptedStation,
  connack,
  connectPacket,
  DISCONNECT,
  packet,
  PINGREQ,
  PINGRESP,
  publishPacket,
  rawStation,
  subscribePacket,
  uplinkPacket,
} from './raw-station.ts';

let bed: TestBed;
let directory: ReturnType<typeof temporaryDirectory>;
let ca: string;
let number = 100;
let code: StationCode;
const port = () => bed.gateway.ports.mqtts ?? 0;
const counters = () => bed.gateway.counters;

beforeAll(async () => {
  directory = temporaryDirectory('conformance-tls');
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  ca = cert;
  const file = (name: string, text: string) => {
    writeFileSync(join(directory.path, name), text);
    return join(directory.path, name);
  };
  bed = await startTestBed({
    listen: {
      mqtts: {
        host: '127.0.0.1',
        port: 0,
        cert_file: file('server.crt', cert),
        key_file: file('server.key', key),
      },
    },
  });
});
afterAll(async () => {
  await bed.close();
  directory.remove();
});
beforeEach(() => {
  code = station((number += 1));
});

test.each([
  ['[MQTT-3.1.2-2] MQTT 5', { level: 5 }, [connack(1)]],
  ['[MQTT-3.1.3-8] no client id, clean session 0', { client_id: '', flags: 0xec }, [connack(2)]],
  ['[MQTT-3.1.3-9] another client id', { client_id: station(1) }, [connack(2)]],
  ['[MQTT-3.2.2-5] a wrong password', { password: 'wrong' }, [connack(4)]],
  ['[MQTT-3.1.2-3] the reserved flag', { flags: 0xef }, []],
  ['[MQTT-3.1.2-1] another name', { name: 'hj' }, []],
  ['[MQTT-1.5.3-1] an ill-formed user name', { user: [0xff] }, []],
] as const)(
  '%s: the answer arrives before the end, though packets follow the CONNECT',
  async (_name, parts, answer) => {
    const here = await rawStation(port(), ca);
    here.send(connectPacket(code, parts), PINGREQ, uplinkPacket(code, 1));
    expect(await here.untilClosed()).toEqual(answer);
    expect(counters().uplink_messages).toBe(0);
  },
);

test.each([
  ['[MQTT-3.1.0-2] a second CONNECT', () => connectPacket(code)],
  ['[MQTT-3.3.1-4] QoS 3', () => packet(0x36, [0, 1, 0x61, 0, 1])],
  ['[MQTT-3.3.2-1] an ill-formed topic', () => publishPacket([0xc0, 0xaf], 'x')],
  ['[MQTT-3.8.3-1] an ill-formed filter', () => subscribePacket(1, [[[0xff], 0]])],
  ['[MQTT-2.3.1-1] packet identifier 0', () => subscribePacket(0, [['a', 0]])],
  ['[MQTT-4.8.0-1] a length of five bytes', () => Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 1])],
])('%s closes, in one record or a record for each byte', async (_name, bytes) => {
  for (const in_pieces of [false, true]) {
    const here = await acceptedStation(port(), code, {}, ca);
    if (in_pieces) for (const byte of bytes()) here.send([byte]);
    else here.send(bytes());
    expect(await here.untilClosed()).toEqual([]);
  }
});

test('[MQTT-3.1.4-2] the same client id again ends the older connection, and the new birth is the last word', async () => {
  const will = death('a', true);
  const older = await acceptedStation(port(), code, { will_message: JSON.stringify(will) }, ca);
  const born = (session: string) =>
    publishPacket(stateTopic(code), JSON.stringify(birth(session)), 0x03, 1);
  older.send(born('a'));
  expect(await older.next()).toEqual(packet(0x40, [0, 1]));
  await bed.cloud.until(() => bed.cloud.presence.some((change) => change.station === code));
  const newer = await acceptedStation(port(), code, {}, ca);
  newer.send(born('b'));
  expect(await older.untilClosed()).toEqual([]);
  expect(await newer.next()).toEqual(packet(0x40, [0, 1]));
  const told = () =>
    bed.cloud.presence.filter((change) => change.station === code).map((change) => change.presence);
  await bed.cloud.until(() => told().at(-1)?.session === 'b'.repeat(16));
  expect(told().at(-1)).toEqual(birth('b'));
  newer.send(PINGREQ);
  expect(await newer.next()).toEqual(PINGRESP);
  newer.send(DISCONNECT);
  expect(await newer.untilClosed()).toEqual([]);
});

test('[MQTT-7.1.1-1] packets across records, and many in one', async () => {
  const here = await acceptedStation(port(), code, {}, ca);
  const bytes = Buffer.concat([PINGREQ, uplinkPacket(code, 1), PINGREQ, uplinkPacket(code, 2)]);
  for (const byte of bytes) here.send([byte]);
  here.send(bytes.subarray(0, 2), uplinkPacket(code, 3), uplinkPacket(code, 4));
  for (let count = 0; count < 3; count += 1) expect(await here.next()).toEqual(PINGRESP);
  await bed.cloud.until(() => bed.cloud.cursors.get(`${code}/event`)?.through === 4);
});
