/** MQTT 3.1.1 as it binds a server, chapters 1, 2, 3.1 and 3.2: what a connection may begin with. See docs/mqtt-conformance.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseStationCode } from '@waystation/protocol/station-code';
import { stateTopic } from '@waystation/protocol/topics';
import { birth, death, startTestBed, station, type TestBed } from './harness.ts';
import {
  acceptedStation,
  connack,
  connectPacket,
  DISCONNECT,
  hearCommands,
  HONEST_FLAGS,
  packet,
  PINGREQ,
  PINGRESP,
  publishPacket,
  rawStation,
  suback,
  uplinkPacket,
  type ConnectParts,
  type RawStation,
} from './raw-station.ts';

const MINE = station(1);
let bed: TestBed;
beforeAll(async () => {
  bed = await startTestBed({ limits: { keepalive_max_s: 5 } });
});
afterAll(() => bed.close());
const counters = () => bed.gateway.counters;

/** What comes back for these bytes until the gateway closes. */
async function answersTo(...bytes: Buffer[]): Promise<Buffer[]> {
  const here = await rawStation(bed.mqtt_port);
  here.send(...bytes);
  return here.untilClosed();
}

/** Is this CONNECT refused without a word? */
async function expectSilentEnd(bytes: Buffer) {
  const { refused_protocol, sessions } = counters();
  expect(await answersTo(bytes)).toEqual([]);
  expect(counters().refused_protocol).toBe(refused_protocol + 1);
  expect(counters().sessions).toBe(sessions);
}

const ILL_FORMED: [string, number[]][] = [
  ['a lone continuation byte', [0x61, 0x80]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a surrogate, U+D800', [0xed, 0xa0, 0x80]],
  ['a surrogate, U+DFFF', [0xed, 0xbf, 0xbf]],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a character cut short', [0xe7, 0xab]],
];
const WITHOUT_WILL = { will_topic: null, will_message: null };
const WITHOUT_CREDENTIAL = { user: null, password: null };

describe('strings (1.5.3)', () => {
  describe.each(['client_id', 'will_topic', 'user'] as const)('%s', (name) => {
    test.each(ILL_FORMED)(
      '[MQTT-1.5.3-1] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] %s closes',
      async (_name, bytes) => {
        await expectSilentEnd(connectPacket(MINE, { [name]: bytes }));
      },
    );
    test('[MQTT-1.5.3-2] U+0000 closes', async () => {
      await expectSilentEnd(connectPacket(MINE, { [name]: [0x61, 0, 0x62] }));
    });
  });

  test('[MQTT-1.5.3-3] U+FEFF is a character: with it the client id is another one', async () => {
    const parts = { client_id: `\uFEFF${MINE}` };
    expect(await answersTo(connectPacket(MINE, parts))).toEqual([connack(2)]);
    const as_user = { user: `\uFEFF${MINE}` };
    expect(await answersTo(connectPacket(MINE, as_user))).toEqual([connack(4)]);
  });
});

describe('the first packet', () => {
  test.each([
    ['PUBLISH', uplinkPacket(MINE, 1)],
    ['PINGREQ', PINGREQ],
    ['DISCONNECT', DISCONNECT],
    ['SUBSCRIBE', packet(0x82, [0, 1, 0, 1, 0x61, 0])],
  ])('[MQTT-3.1.0-1] %s instead of CONNECT closes', async (_name, bytes) => {
    await expectSilentEnd(bytes);
  });

  test('[MQTT-3.1.0-2] a second CONNECT closes', async () => {
    const here = await acceptedStation(bed.mqtt_port, MINE);
    here.send(connectPacket(MINE));
    expect(await here.untilClosed()).toEqual([]);
  });

  test('[MQTT-3.1.0-2] two CONNECTs in one segment: neither is served', async () => {
    await expectSilentEnd(Buffer.concat([connectPacket(MINE), connectPacket(MINE)]));
  });

  test.each([
    ['another name', { name: 'hj' }],
    ['another case', { name: 'mqtt' }],
    ['an empty name', { name: '' }],
    ['a longer name', { name: 'MQTTX' }],
  ])('[MQTT-3.1.2-1] %s closes', async (_name, parts) => {
    await expectSilentEnd(connectPacket(MINE, parts));
  });

  test.each([0, 1, 2, 3, 5, 6, 127, 0x84, 255])(
    '[MQTT-3.1.2-2] level %i is answered with 0x01, then closed',
    async (level) => {
      expect(await answersTo(connectPacket(MINE, { level }))).toEqual([connack(1)]);
    },
  );

  test('[MQTT-3.1.2-2] a CONNECT of MQTT 5 is answered with 0x01, whatever its flags', async () => {
    const properties = Buffer.from('100d00044d5154540503003c000000', 'hex');
    expect(await answersTo(properties)).toEqual([connack(1)]);
  });

  test('[MQTT-3.1.2-3] the reserved flag set closes', async () => {
    await expectSilentEnd(connectPacket(MINE, { flags: HONEST_FLAGS | 1 }));
  });
});

describe('flags and payload (3.1.2, 3.1.3)', () => {
  const WITHOUT_WILL_FLAGS = HONEST_FLAGS & ~0x3c;
  test.each<[string, Partial<ConnectParts>]>([
    ['[MQTT-3.1.2-9] will flag without topic and message', WITHOUT_WILL],
    ['[MQTT-3.1.2-11] topic and message without will flag', { flags: WITHOUT_WILL_FLAGS }],
    [
      '[MQTT-3.1.2-11] [MQTT-3.1.2-13] will QoS without will flag',
      { flags: WITHOUT_WILL_FLAGS | 0x08, ...WITHOUT_WILL },
    ],
    ['[MQTT-3.1.2-14] will QoS 3', { flags: HONEST_FLAGS | 0x18 }],
    [
      '[MQTT-3.1.2-15] will retain without will flag',
      { flags: WITHOUT_WILL_FLAGS | 0x20, ...WITHOUT_WILL },
    ],
    ['[MQTT-3.1.2-18] a user name without its flag', { flags: HONEST_FLAGS & ~0xc0 }],
    ['[MQTT-3.1.2-19] no user name with its flag', WITHOUT_CREDENTIAL],
    ['[MQTT-3.1.2-20] a password without its flag', { flags: HONEST_FLAGS & ~0x40 }],
    ['[MQTT-3.1.2-21] no password with its flag', { password: null }],
    [
      '[MQTT-3.1.2-22] a password flag without user name',
      { flags: HONEST_FLAGS & ~0x80, user: null },
    ],
    ['[MQTT-3.1.4-1] [MQTT-3.1.3-1] a byte too many', { trailing: [0] }],
    ['[MQTT-3.1.4-1] a will topic with a wildcard', { will_topic: 'ws/1/+/state' }],
    ['[MQTT-3.1.4-1] an empty will topic', { will_topic: '' }],
  ])('%s closes', async (_name, parts) => {
    await expectSilentEnd(connectPacket(MINE, parts));
  });

  test('[MQTT-3.1.3-3] no client id, nor anything else: closes', async () => {
    await expectSilentEnd(packet(0x10, [0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60]));
  });

  test('[MQTT-3.1.4-1] a field longer than the packet closes', async () => {
    const whole = connectPacket(MINE, { ...WITHOUT_WILL, ...WITHOUT_CREDENTIAL, flags: 2 });
    whole[13] = 200;
    await expectSilentEnd(whole);
  });

  test('[MQTT-3.1.3-5] a client id of letters and digits is served, by its name', async () => {
    expect(parseStationCode(MINE)).toMatch(/^[0-9A-Z]{1,23}$/);
    const here = await acceptedStation(bed.mqtt_port, MINE);
    here.send(DISCONNECT);
    await here.untilClosed();
  });

  test.each([
    ['[MQTT-3.1.3-8] [MQTT-3.1.3-7] empty with clean session 0', '', HONEST_FLAGS & ~0x02],
    ['[MQTT-3.1.3-6] [MQTT-3.1.3-9] empty with clean session 1', '', HONEST_FLAGS],
    ['[MQTT-3.1.3-9] of another station', station(2), HONEST_FLAGS],
  ])('a client id %s is answered with 0x02, then closed', async (_name, client_id, flags) => {
    expect(await answersTo(connectPacket(MINE, { client_id, flags }))).toEqual([connack(2)]);
  });
});

describe('sessions and CONNACK (3.1.2.4, 3.1.4, 3.2)', () => {
  test.each([
    ['[MQTT-3.1.4-3] [MQTT-3.2.2-1] clean session 1', HONEST_FLAGS],
    ['[MQTT-3.1.2-4] [MQTT-3.2.2-3] clean session 0', HONEST_FLAGS & ~0x02],
  ])('[MQTT-3.1.4-4] %s: accepted, session present 0, also again', async (_name, flags) => {
    for (let round = 0; round < 2; round += 1) {
      const here = await acceptedStation(bed.mqtt_port, MINE, { flags });
      expect(await hearCommands(here, MINE, 1)).toEqual(suback(1, [1]));
      here.send(DISCONNECT);
      expect(await here.untilClosed()).toEqual([]);
    }
  });

  test('[MQTT-3.1.2-6] nothing of a session is used again: who subscribed must subscribe again', async () => {
    const first = await acceptedStation(bed.mqtt_port, MINE);
    await hearCommands(first, MINE, 1);
    first.send(DISCONNECT);
    await first.untilClosed();
    const again = await acceptedStation(bed.mqtt_port, MINE);
    const { commands_undeliverable } = counters();
    bed.cloud.send({ station: MINE, command: { kind: 'keySet', version: 1, body: 'AAAA' } });
    await expect.poll(() => counters().commands_undeliverable).toBe(commands_undeliverable + 1);
    again.send(PINGREQ);
    expect(await again.next()).toEqual(PINGRESP);
    again.send(DISCONNECT);
    expect(await again.untilClosed()).toEqual([]);
  });

  test.each([false, true])(
    '[MQTT-3.1.4-2] [MQTT-3.1.3-2] the same client id again (in mid-packet: %s) ends the older connection',
    async (mid_packet) => {
      const older = await acceptedStation(bed.mqtt_port, MINE);
      if (mid_packet) older.send(uplinkPacket(MINE, 1).subarray(0, 9));
      const newer = await acceptedStation(bed.mqtt_port, MINE);
      expect(await older.untilClosed()).toEqual([]);
      newer.send(PINGREQ);
      expect(await newer.next()).toEqual(PINGRESP);
      newer.send(DISCONNECT);
      await newer.untilClosed();
    },
  );

  test.each([
    ['a wrong password', { password: 'wrong' }, 4],
    ['no credential', { flags: HONEST_FLAGS & ~0xc0, ...WITHOUT_CREDENTIAL }, 4],
    ['a will of another station', { will_topic: stateTopic(station(2)) }, 5],
  ])(
    '[MQTT-3.1.4-5] [MQTT-3.2.2-4] [MQTT-3.2.2-5] %s: CONNACK with a code of the table, closed, the rest unread',
    async (_name, parts, code) => {
      const { uplink_messages } = counters();
      const rest = [uplinkPacket(MINE, 1), PINGREQ, DISCONNECT];
      expect(await answersTo(connectPacket(MINE, parts), ...rest)).toEqual([connack(code)]);
      expect(counters().uplink_messages).toBe(uplink_messages);
    },
  );

  test('[MQTT-3.2.0-1] packets sent along with CONNECT are answered after CONNACK', async () => {
    const here = await rawStation(bed.mqtt_port);
    here.send(connectPacket(MINE), PINGREQ, PINGREQ);
    expect([await here.next(), await here.next(), await here.next()]).toEqual([
      connack(0),
      PINGRESP,
      PINGRESP,
    ]);
    here.send(DISCONNECT);
    await here.untilClosed();
  });

  test('[MQTT-3.2.0-1] of the packets sent along with CONNECT 64 wait for it, one more ends the connection', async () => {
    const here = await rawStation(bed.mqtt_port);
    here.send(connectPacket(MINE), ...Array.from({ length: 64 }, () => PINGREQ));
    expect(await here.next()).toEqual(connack(0));
    for (let count = 0; count < 64; count += 1) expect(await here.next()).toEqual(PINGRESP);
    here.send(DISCONNECT);
    expect(await here.untilClosed()).toEqual([]);
    const eager = Array.from({ length: 65 }, () => PINGREQ);
    expect(await answersTo(connectPacket(MINE), ...eager)).toEqual([]);
  });

  test.each([0, 65_535])(
    '[MQTT-3.2.2-6] keep-alive %i gets no code of its own: it is accepted, and the idle limit ends it',
    async (keepalive_s) => {
      const here = await acceptedStation(bed.mqtt_port, station(3), { keepalive_s });
      expect(await here.untilClosed()).toEqual([]);
    },
  );

  test('[MQTT-7.0.0-2] MQTT 3.1 is served beside 3.1.1, nothing beyond the standard is asked for', async () => {
    await acceptedStation(bed.mqtt_port, MINE, { name: 'MQIsdp', level: 3 });
    const here = await acceptedStation(bed.mqtt_port, MINE);
    here.send(DISCONNECT);
    expect(await here.untilClosed()).toEqual([]);
  });
});

describe('the will (3.1.2.5) and keep-alive (3.1.2.10)', () => {
  /** Clean, which no end of a connection is: so it can be told from what the gateway says of itself. */
  const WILL = death('a', true);
  const WILL_MESSAGE = { will_message: JSON.stringify(WILL) };
  /** Connects with a will, is born, and waits until the cloud knows. */
  async function born(code: ReturnType<typeof station>, parts: Partial<ConnectParts> = {}) {
    const here = await acceptedStation(bed.mqtt_port, code, { ...WILL_MESSAGE, ...parts });
    here.send(publishPacket(stateTopic(code), JSON.stringify(birth('a')), 0x03, 1));
    expect(await here.next()).toEqual(packet(0x40, [0, 1]));
    await bed.cloud.until(() => told(code).length > 0);
    return here;
  }
  const told = (code: ReturnType<typeof station>) =>
    bed.cloud.presence.filter((change) => change.station === code).map((change) => change.presence);

  test.each([
    ['an end without DISCONNECT', 10, (here: RawStation) => here.socket.destroy()],
    ['[MQTT-4.8.0-1] a protocol violation', 11, (here: RawStation) => here.send(packet(0xc1))],
    [
      '[MQTT-4.8.0-1] a violation with DISCONNECT behind it in one segment, which is not read',
      15,
      (here: RawStation) => here.send(packet(0xa2, [0, 1]), DISCONNECT),
    ],
  ] as const)(
    '[MQTT-3.1.2-8] [MQTT-3.1.2-17] after %s the will is told, once',
    async (_name, number, end) => {
      const code = station(number);
      const here = await born(code);
      end(here);
      await bed.cloud.until(() => told(code).length === 2);
      expect(told(code)).toEqual([birth('a'), WILL]);
    },
  );

  test('[MQTT-3.1.2-24] [MQTT-3.1.2-8] silence for one and a half keep-alives ends the connection, and the will is told', async () => {
    const code = station(12);
    const silent_from_ms = performance.now();
    const here = await born(code, { keepalive_s: 1 });
    expect(await here.untilClosed()).toEqual([]);
    expect(performance.now() - silent_from_ms).toBeGreaterThan(1_400);
    await bed.cloud.until(() => told(code).length === 2);
    expect(told(code)[1]).toEqual(WILL);
  });

  test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT discards the will, and what follows it is not read', async () => {
    const code = station(13);
    const here = await born(code);
    here.send(DISCONNECT, uplinkPacket(code, 1));
    await here.untilClosed();
    await bed.cloud.until(() => told(code).length === 2);
    expect(told(code)[1]).toEqual(death('a'));
    expect(bed.cloud.cursors.has(`${code}/event`)).toBe(false);
  });

  test('[MQTT-3.1.2-12] without a will only the end of the connection is told', async () => {
    const code = station(14);
    const here = await born(code, { ...WITHOUT_WILL, flags: HONEST_FLAGS & ~0x3c });
    here.socket.destroy();
    await bed.cloud.until(() => told(code).length === 2);
    expect(told(code)[1]).toEqual(death('a'));
  });

  test.each([0x24, 0x2c & ~0x20, 0x34])(
    '[MQTT-3.1.2-16] [MQTT-3.1.2-14] a will that is no retained state at QoS 1 (flags %i) is refused with 0x05',
    async (will_flags) => {
      const flags = (HONEST_FLAGS & ~0x3c) | will_flags;
      expect(await answersTo(connectPacket(MINE, { flags }))).toEqual([connack(5)]);
    },
  );
});
