import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { IClientOptions } from 'mqtt';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../servers/process.ts';
import {
  bareSocket,
  connectStation,
  honest,
  startTestBed,
  station,
  tryConnect,
  type TestBed,
} from './harness.ts';

const MINE = station(1);
const DAY_MS = 86_400_000;
const EC = { keyType: 'ec', algorithm: 'sha256' } as const;
const name = (value: string) => [{ name: 'commonName', value }];
const CA_EXTENSIONS = [
  { name: 'basicConstraints' as const, cA: true, critical: true },
  { name: 'keyUsage' as const, keyCertSign: true, critical: true },
];

interface Issued {
  cert: string;
  key: string;
}
let bed: TestBed;
let directory: ReturnType<typeof temporaryDirectory>;
let server_ca: Issued;
let client_ca: Issued;
const pair = ({ cert, private: key }: { cert: string; private: string }): Issued => ({ cert, key });
const authority = async (common_name: string) =>
  pair(await generate(name(common_name), { ...EC, extensions: CA_EXTENSIONS }));
const clientCertificate = async (
  common_name: string,
  ca: Issued,
  validity: { notBeforeDate?: Date; notAfterDate?: Date } = {},
) =>
  pair(
    await generate(name(common_name), {
      ...EC,
      ...validity,
      ca,
      extensions: [{ name: 'extKeyUsage', clientAuth: true }],
    }),
  );

beforeAll(async () => {
  directory = temporaryDirectory('tls');
  server_ca = await authority('Gateway CA');
  client_ca = await authority('Station CA');
  const server = pair(
    await generate(name('localhost'), {
      ...EC,
      ca: server_ca,
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    }),
  );
  const file = (file_name: string, text: string) => {
    writeFileSync(join(directory.path, file_name), text);
    return join(directory.path, file_name);
  };
  bed = await startTestBed({
    listen: {
      mqtts: {
        host: '127.0.0.1',
        port: 0,
        cert_file: file('server.crt', server.cert),
        key_file: file('server.key', server.key),
        client_ca_file: file('stations.crt', client_ca.cert),
      },
    },
    limits: { connect_timeout_ms: 500, greetings_max: 4 },
  });
});
afterAll(async () => {
  await bed.close();
  directory.remove();
});

const url = () => `mqtts://127.0.0.1:${bed.gateway.ports.mqtts}`;
const trusting = (options: IClientOptions): IClientOptions => ({ ...options, ca: server_ca.cert });
/** No token: the certificate is the credential. */
const withCertificate = ({ cert, key }: Issued): IClientOptions => ({
  ...trusting(honest(MINE)),
  password: '',
  cert,
  key,
});

test('a token over TLS', async () => {
  const here = await connectStation(url(), MINE, trusting(honest(MINE)));
  here.send('event', 1);
  await expect.poll(() => here.acks).toHaveLength(1);
  await here.client.endAsync();
});

test('a certificate whose common name is the station code, without a token', async () => {
  const mine = await clientCertificate(MINE, client_ca);
  const here = await connectStation(url(), MINE, withCertificate(mine));
  here.send('event', 2);
  await expect.poll(() => here.acks).toHaveLength(1);
  await here.client.endAsync();
});

test('without token and certificate nobody enters', async () => {
  expect(await tryConnect(url(), { ...trusting(honest(MINE)), password: '' })).toContain('refused');
});

test('a certificate of another station is refused, a good token beside it does not help', async () => {
  const other = await clientCertificate(station(2), client_ca);
  const before = bed.gateway.counters.refused_certificate;
  const options = { ...trusting(honest(MINE)), cert: other.cert, key: other.key };
  expect(await tryConnect(url(), options)).toContain('refused');
  expect(bed.gateway.counters.refused_certificate).toBe(before + 1);
});

test('a certificate of a foreign authority, or an expired one, is refused by CONNACK', async () => {
  const foreign = await clientCertificate(MINE, await authority('Foreign CA'));
  expect(await tryConnect(url(), withCertificate(foreign))).toContain('Connection refused');
  const expired = await clientCertificate(MINE, client_ca, {
    notBeforeDate: new Date(Date.now() - 2 * DAY_MS),
    notAfterDate: new Date(Date.now() - DAY_MS),
  });
  expect(await tryConnect(url(), withCertificate(expired))).toContain('Connection refused');
});

test('a handshake that does not end, or is none, is cut', async () => {
  const { ended: silent } = await bareSocket(bed.gateway.ports.mqtts ?? 0);
  const { socket, ended: plain } = await bareSocket(bed.gateway.ports.mqtts ?? 0);
  socket.write('not a handshake\r\n\r\n');
  await Promise.all([silent, plain]);
  await expect.poll(() => bed.gateway.counters.refused_handshake).toBeGreaterThan(1);
});

test('after the handshake CONNECT is awaited as long as on the plain port', async () => {
  const socket = connectTls({
    port: bed.gateway.ports.mqtts ?? 0,
    host: '127.0.0.1',
    ca: server_ca.cert,
  });
  socket.on('error', () => {});
  socket.resume();
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  expect(bed.gateway.counters.refused_connect_timeout).toBe(1);
});

test('four hundred who knock on the TLS door in one moment are all let in, four at a time', async () => {
  const before = bed.gateway.counters.refused_handshake;
  const herd = Array.from({ length: 400 }, (_, number) => station(100 + number));
  const all = await Promise.all(
    herd.map((code) => connectStation(url(), code, trusting(honest(code)))),
  );
  expect(bed.gateway.counters.refused_handshake).toBe(before);
  await Promise.all(all.map(({ client }) => client.endAsync(true)));
});

test('TLS below 1.2 is refused', async () => {
  const socket = connectTls({
    port: bed.gateway.ports.mqtts ?? 0,
    host: '127.0.0.1',
    ca: server_ca.cert,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
  });
  const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
  expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_SSL/) });
});
