import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { ackTopic, commandTopic, stateTopic, uplinkTopic } from '@waystation/protocol/topics';
import { requirePart } from '../servers/parts.ts';
import {
  birth,
  connectStation,
  death,
  honest,
  startTestBed,
  station,
  tokenOf,
  tryConnect,
  uplinkPayload,
  type TestBed,
} from './harness.ts';

const MINE = station(1);
const OTHER = station(2);
let bed: TestBed;
const url = () => `mqtt://127.0.0.1:${bed.mqtt_port}`;

afterEach(() => bed.close());

describe('the way up and down', () => {
  test('birth, records, acknowledgement, command, death', async () => {
    bed = await startTestBed();
    const { cloud } = bed;
    const here = await connectStation(url(), MINE);
    await here.publishState(birth('a'));
    here.send('event', 1, 3);
    here.send('sample', 1);
    await expect.poll(() => here.acks).toHaveLength(2);
    expect(here.acks).toContainEqual({ stream: 'event', epoch: '0123456789ab', through: 3 });
    expect(cloud.committed.filter((key) => key.includes('event'))).toHaveLength(3);
    await cloud.until(() => cloud.presence.length === 1);
    const command = { kind: 'keySet', version: 7, body: 'AAAA' } as const;
    cloud.send({ station: MINE, command });
    cloud.send({ station: OTHER, command });
    cloud.sendRaw('data: {"station":"nobody"}\n\n');
    await expect.poll(() => here.commands).toEqual([command]);
    await expect.poll(() => bed.gateway.counters.commands_undeliverable).toBe(1);
    expect(bed.gateway.counters.commands_malformed).toBe(1);
    here.cut();
    await cloud.until(() => cloud.presence.length === 2);
    expect(cloud.presence.map(({ presence }) => presence)).toEqual([birth('a'), death('a')]);
  });

  test('a goodbye is told as it was said, and a silent DISCONNECT as a death', async () => {
    bed = await startTestBed();
    const { cloud } = bed;
    const polite = await connectStation(url(), MINE);
    await polite.publishState(birth('a'));
    await cloud.until(() => cloud.presence.length === 1);
    await polite.publishState(death('a', true));
    await polite.client.endAsync();
    await cloud.until(() => cloud.presence.length === 2);
    const silent = await connectStation(url(), OTHER, honest(OTHER, 'b'));
    await silent.publishState(birth('b'));
    await cloud.until(() => cloud.presence.length === 3);
    await silent.client.endAsync();
    await cloud.until(() => cloud.presence.length === 4);
    expect(
      cloud.presence.map(({ presence }) => presence).filter(({ state }) => state === 'offline'),
    ).toEqual([death('a', true), death('b', false)]);
  });

  test('the second connection of a station takes over, and the first one dies unheard', async () => {
    bed = await startTestBed();
    const { cloud, gateway } = bed;
    const first = await connectStation(url(), MINE, honest(MINE, 'a'));
    await first.publishState(birth('a'));
    const second = await connectStation(url(), MINE, honest(MINE, 'b'));
    await first.closed;
    await second.publishState(birth('b'));
    second.send('event', 1);
    await expect.poll(() => second.acks).toHaveLength(1);
    await cloud.until(() => cloud.presence.at(-1)?.presence.session === 'b'.repeat(16));
    expect(cloud.presence.at(-1)?.presence.state).toBe('online');
    expect(gateway.counters.takeovers).toBe(1);
    expect(first.acks).toEqual([]);
  });
});

describe('who may enter', () => {
  test.each([
    ['an empty password', { password: '' }],
    ['a password that is no token', { password: 'secret' }],
    ['the token of another station', { password: tokenOf(OTHER) }],
    ['an expired token', { password: tokenOf(MINE, 1_700_000_060) }],
    ['a user name that is no station', { username: 'admin' }],
    ['another client id', { clientId: OTHER }],
    [
      'a last will on the state of another station',
      { will: { ...honest(OTHER).will!, retain: true } },
    ],
    [
      'a last will that is a birth',
      { will: { ...honest(MINE).will!, payload: Buffer.from(JSON.stringify(birth('a'))) } },
    ],
    ['a last will that is not retained', { will: { ...honest(MINE).will!, retain: false } }],
  ])('%s: CONNACK refuses', async (_name, spoiled) => {
    bed = await startTestBed();
    expect(await tryConnect(url(), { ...honest(MINE), ...spoiled })).toMatch(
      /^Connection refused: (Not authorized|Bad username or password|Identifier rejected)$/,
    );
    expect(bed.gateway.counters.sessions).toBe(0);
  });

  test('MQTT 5 is refused by its own code, MQTT 3.1 is served', async () => {
    bed = await startTestBed();
    expect(await tryConnect(url(), { ...honest(MINE), protocolVersion: 5 })).toContain('refused');
    const old = await tryConnect(url(), {
      ...honest(MINE),
      protocolVersion: 3,
      protocolId: 'MQIsdp',
    });
    expect(old).not.toBeTypeOf('string');
    if (typeof old !== 'string') await old.endAsync();
  });
});

describe('what a station may do', () => {
  test.each([
    ['events of another station', uplinkTopic(OTHER, 'event'), 0, false],
    ['the state of another station', stateTopic(OTHER), 1, true],
    ['its own acknowledgements', ackTopic(MINE), 0, false],
    ['its own commands', commandTopic(MINE), 1, false],
    ['$SYS', '$SYS/broker/load', 0, false],
    ['anything else', 'hello', 0, false],
    ['events at QoS 1', uplinkTopic(MINE, 'event'), 1, false],
    ['events at QoS 2', uplinkTopic(MINE, 'event'), 2, false],
    ['retained events', uplinkTopic(MINE, 'event'), 0, true],
  ] as const)(
    'publishing %s ends the connection, and nobody hears it',
    async (_name, topic, qos, retain) => {
      bed = await startTestBed();
      const other = await connectStation(url(), OTHER);
      const here = await connectStation(url(), MINE);
      here.client.on('error', () => {});
      here.client.publish(topic, uplinkPayload(1), { qos, retain }, () => {});
      await here.closed;
      expect(bed.gateway.counters.refused_publish).toBe(1);
      expect(bed.gateway.counters.uplink_messages).toBe(0);
      expect([other.acks, other.commands]).toEqual([[], []]);
    },
  );

  test.each([
    'ws/1/+/ack',
    `ws/1/${OTHER}/ack`,
    `ws/1/${MINE}/#`,
    `ws/1/${MINE}/state`,
    `ws/1/${MINE}/up/event`,
    '#',
    '+/#',
    '$SYS/#',
  ])('subscribing to %s is answered with 0x80, the connection stays', async (filter) => {
    bed = await startTestBed();
    const here = await connectStation(url(), MINE);
    const granted = await new Promise<number[] | undefined>((resolve) => {
      here.client.on('packetreceive', (packet) => {
        if (packet.cmd === 'suback') resolve(packet.granted as number[]);
      });
      here.client.subscribe(
        [filter, ackTopic(MINE)].filter((topic, at) => at === 0 || topic !== filter),
        { qos: 0 },
        () => {},
      );
    });
    expect(granted).toEqual([128, 0]);
    here.send('event', 1);
    await expect.poll(() => here.acks).toHaveLength(1);
  });

  test("Mosquitto's clients with another station's credential get nothing", async () => {
    bed = await startTestBed();
    const run = promisify(execFile);
    const as = (code: typeof MINE) => [
      '-h',
      '127.0.0.1',
      '-p',
      String(bed.mqtt_port),
      '-V',
      '311',
      '-i',
      code,
      '-u',
      code,
      '-P',
      tokenOf(MINE),
    ];
    const sub = requirePart('mosquitto_sub');
    const pub = requirePart('mosquitto_pub');
    const refused = await run(sub, [...as(MINE), '-t', ackTopic(OTHER), '-W', '5']).catch(
      (error: unknown) => error,
    );
    expect(String((refused as { stderr?: unknown }).stderr)).toContain(
      'All subscription requests were denied',
    );
    const stranger = await run(sub, [...as(OTHER), '-t', ackTopic(OTHER), '-W', '5']).catch(
      (error: unknown) => error,
    );
    expect(String((stranger as { stderr?: unknown }).stderr)).toMatch(
      /not authorised|bad user name or password/i,
    );
    await run(pub, [...as(MINE), '-t', uplinkTopic(OTHER, 'event'), '-m', uplinkPayload(1)]).catch(
      () => {},
    );
    await expect.poll(() => bed.gateway.counters.refused_publish).toBe(1);
    await run(pub, [...as(MINE), '-t', uplinkTopic(MINE, 'event'), '-m', uplinkPayload(1)]);
    await bed.cloud.until(() => bed.cloud.committed.length === 1);
    expect(bed.cloud.committed).toEqual([`${MINE}/event/1`]);
  });

  test('a state that is none ends the connection', async () => {
    bed = await startTestBed();
    const here = await connectStation(url(), MINE);
    here.client.on('error', () => {});
    here.client.publish(stateTopic(MINE), '{"state":"sleepy"}', { qos: 1, retain: true }, () => {});
    await here.closed;
    expect(bed.gateway.counters.presence_malformed).toBe(1);
  });
});
