/** MQTT 3.1.1 as it binds a server, chapters 2, 3.3 to 3.14 and 4: what a connection may go on with. See docs/mqtt-conformance.md. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '@waystation/protocol/commands';
import type { StationCode } from '@waystation/protocol/station-code';
import { ackTopic, commandTopic, stateTopic, uplinkTopic } from '@waystation/protocol/topics';
import { birth, EPOCH, startTestBed, station, uplinkPayload, type TestBed } from './harness.ts';
import {
  acceptedStation,
  DISCONNECT,
  field,
  hearCommands,
  packet,
  PINGREQ,
  PINGRESP,
  publishPacket,
  suback,
  subscribePacket,
  uint16,
  unsubscribePacket,
  uplinkPacket,
  type RawStation,
} from './raw-station.ts';

let bed: TestBed;
let number = 0;
/** Each test has a station of its own. */
let code: StationCode;
let here: RawStation;
beforeAll(async () => {
  bed = await startTestBed();
});
afterAll(() => bed.close());
beforeEach(async () => {
  code = station((number += 1));
  here = await acceptedStation(bed.mqtt_port, code);
});
const counters = () => bed.gateway.counters;
const COMMAND: Command = { kind: 'keySet', version: 7, body: 'AAAA' };
const numbered = (version: number): Command => ({ ...COMMAND, version });
const state = (flags: number, packet_id: number | null) =>
  publishPacket(stateTopic(code), JSON.stringify(birth('a')), flags, packet_id);
const puback = (packet_id: number) => packet(0x40, uint16(packet_id));

/** Ends the connection without an answer, whatever it was; nothing goes to the cloud. */
async function expectEnd(...bytes: Uint8Array[]) {
  const { uplink_messages } = counters();
  here.send(...bytes);
  expect(await here.untilClosed()).toEqual([]);
  expect(counters().uplink_messages).toBe(uplink_messages);
}

async function expectAlive() {
  here.send(PINGREQ);
  expect(await here.next()).toEqual(PINGRESP);
}

/** Topic, payload, packet identifier and flags of a PUBLISH of the gateway, read from its bytes. */
async function nextPublish(has_id: boolean) {
  const bytes = await here.next();
  if (bytes === null) throw new Error('closed');
  let at = 1;
  while ((bytes[at] ?? 0) & 0x80) at += 1;
  const topic_end = at + 3 + bytes.readUInt16BE(at + 1);
  const end = topic_end + (has_id ? 2 : 0);
  const json: unknown = JSON.parse(bytes.subarray(end).toString());
  return {
    first_byte: bytes[0],
    topic: bytes.subarray(at + 3, topic_end).toString(),
    packet_id: has_id ? bytes.readUInt16BE(topic_end) : 0,
    json,
  };
}

describe('fixed headers (2.2)', () => {
  test.each([
    ['PUBACK with flags', 0x42, [0, 1]],
    ['PUBREC with flags', 0x51, [0, 1]],
    ['[MQTT-3.6.1-1] PUBREL with flags 0000', 0x60, [0, 1]],
    ['[MQTT-3.6.1-1] PUBREL with flags 0011', 0x63, [0, 1]],
    ['PUBCOMP with flags', 0x78, [0, 1]],
    ['[MQTT-3.8.1-1] SUBSCRIBE with flags 0000', 0x80, [0, 1, 0, 1, 0x61, 0]],
    ['[MQTT-3.8.1-1] SUBSCRIBE with flags 1010', 0x8a, [0, 1, 0, 1, 0x61, 0]],
    ['[MQTT-3.10.1-1] UNSUBSCRIBE with flags 0000', 0xa0, [0, 1, 0, 1, 0x61]],
    ['[MQTT-3.10.1-1] UNSUBSCRIBE with flags 0111', 0xa7, [0, 1, 0, 1, 0x61]],
    ['PINGREQ with flags', 0xc1, []],
    ['[MQTT-3.14.1-1] DISCONNECT with flags', 0xe1, []],
    ['[MQTT-3.3.1-4] PUBLISH at QoS 3', 0x36, [0, 1, 0x61, 0, 1]],
    ['[MQTT-3.3.1-2] PUBLISH again (DUP) at QoS 0', 0x38, [0, 1, 0x61]],
    ['type 0', 0x00, []],
    ['type 15', 0xf0, []],
    ['CONNACK, which only a server says', 0x20, [0, 0]],
    ['SUBACK, which only a server says', 0x90, [0, 1, 0]],
    ['UNSUBACK, which only a server says', 0xb0, [0, 1]],
    ['PINGRESP, which only a server says', 0xd0, []],
  ])('[MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-4.8.0-1] %s closes', async (_name, first, body) => {
    const { refused_protocol } = counters();
    await expectEnd(packet(first, body));
    expect(counters().refused_protocol).toBe(refused_protocol + 1);
  });

  test.each([
    ['a remaining length of five bytes', [0x30, 0x80, 0x80, 0x80, 0x80, 1]],
    ['PINGREQ with a body', [0xc0, 1, 0]],
    ['DISCONNECT with a body', [0xe0, 1, 0]],
    ['PUBACK without identifier', [0x40, 0]],
    ['PUBACK with half an identifier', [0x40, 1, 1]],
    ['PUBACK with a reason code, which MQTT 5 has', [0x40, 3, 0, 1, 0]],
    ['PUBLISH without topic', [0x30, 0]],
    ['PUBLISH whose topic is longer than the packet', [0x30, 4, 0, 9, 0x61, 0x61]],
    ['PUBLISH at QoS 1 whose identifier is cut short', [0x32, 4, 0, 1, 0x61, 0]],
    ['SUBSCRIBE whose QoS is missing', [0x82, 5, 0, 1, 0, 1, 0x61]],
    ['SUBSCRIBE whose filter is longer than the packet', [0x82, 6, 0, 1, 0, 9, 0x61, 0]],
  ])('[MQTT-4.8.0-1] %s closes', async (_name, bytes) => {
    await expectEnd(Buffer.from(bytes));
  });

  test('[MQTT-7.1.1-1] a length in more bytes than it needs, a byte at a time, many packets in one segment: all read', async () => {
    here.send([0xc0, 0x80, 0x00]);
    expect(await here.next()).toEqual(PINGRESP);
    const bytes = Buffer.concat([uplinkPacket(code, 1), PINGREQ, uplinkPacket(code, 2)]);
    for (const byte of bytes) here.send([byte]);
    expect(await here.next()).toEqual(PINGRESP);
    here.send(uplinkPacket(code, 3), uplinkPacket(code, 4), PINGREQ, uplinkPacket(code, 5));
    expect(await here.next()).toEqual(PINGRESP);
    await bed.cloud.until(() => bed.cloud.cursors.get(`${code}/event`)?.through === 5);
  });
});

describe('packet identifiers (2.3.1)', () => {
  test.each([
    ['SUBSCRIBE', () => subscribePacket(0, [[commandTopic(code), 1]])],
    ['UNSUBSCRIBE', () => unsubscribePacket(0, [commandTopic(code)])],
    ['PUBLISH at QoS 1', () => state(0x03, 0)],
    ['PUBACK', () => puback(0)],
    ['PUBREL', () => packet(0x62, [0, 0])],
  ])('[MQTT-2.3.1-1] %s with identifier 0 closes', async (_name, bytes) => {
    await expectEnd(bytes());
  });

  test('[MQTT-2.3.1-5] [MQTT-4.3.1-1] an acknowledgement at QoS 0 has no identifier, no DUP, no RETAIN', async () => {
    here.send(subscribePacket(9, [[ackTopic(code), 1]]));
    expect(await here.next()).toEqual(suback(9, [1]));
    here.send(uplinkPacket(code, 1));
    expect(await nextPublish(false)).toEqual({
      first_byte: 0x30,
      topic: ackTopic(code),
      packet_id: 0,
      json: { stream: 'event', epoch: EPOCH, through: 1 },
    });
  });

  test('[MQTT-2.3.1-2] [MQTT-2.3.1-4] [MQTT-4.3.2-1] commands at QoS 1 have identifiers of their own, not 0', async () => {
    await hearCommands(here, code, 1);
    for (let version = 1; version <= 20; version += 1)
      bed.cloud.send({ station: code, command: numbered(version) });
    const ids = new Set<number>();
    for (let count = 0; count < 20; count += 1) ids.add((await nextPublish(true)).packet_id);
    expect(ids.size).toBe(20);
    expect(ids.has(0)).toBe(false);
  });
});

describe('PUBLISH (3.3)', () => {
  test.each([
    ['[MQTT-1.5.3-1] ill-formed UTF-8', [0xc0, 0xaf]],
    ['[MQTT-1.5.3-1] a surrogate', [0xed, 0xa0, 0x80]],
    ['[MQTT-1.5.3-2] [MQTT-4.7.3-2] U+0000', [0x61, 0]],
    ['[MQTT-4.7.3-1] nothing', []],
    ['[MQTT-3.3.2-2] [MQTT-4.7.1-1] a #', Buffer.from('ws/#')],
    ['[MQTT-3.3.2-2] [MQTT-4.7.1-1] a +', Buffer.from('ws/+/up')],
  ])('[MQTT-3.3.2-1] a topic of %s closes', async (_name, topic) => {
    const { refused_protocol } = counters();
    await expectEnd(publishPacket(topic, 'x'));
    expect(counters().refused_protocol).toBe(refused_protocol + 1);
  });

  test.each([
    ['in another case', () => uplinkTopic(code, 'event').toUpperCase()],
    ['with a slash more', () => `${uplinkTopic(code, 'event')}/`],
    ['with a slash before', () => `/${uplinkTopic(code, 'event')}`],
    ['with U+FEFF before [MQTT-1.5.3-3]', () => `\uFEFF${uplinkTopic(code, 'event')}`],
    ['with $', () => '$SYS/broker/load'],
    ['of 65,535 bytes [MQTT-4.7.3-3]', () => 'a'.repeat(65_535)],
  ])(
    '[MQTT-4.7.3-4] [MQTT-3.3.5-2] a topic %s is another topic: not authorised, closed',
    async (_name, topic) => {
      await expectEnd(publishPacket(topic(), uplinkPayload(1)));
    },
  );

  test('[MQTT-3.3.4-1] [MQTT-2.3.1-6] [MQTT-4.3.2-2] QoS 1 is answered by PUBACK with its identifier, in order; again after DUP', async () => {
    here.send(state(0x03, 7), state(0x03, 65_535), state(0x0b, 7));
    expect([await here.next(), await here.next(), await here.next()]).toEqual([
      puback(7),
      puback(65_535),
      puback(7),
    ]);
  });

  test('[MQTT-4.8.0-2] a state that is none cannot be handled: closed without acknowledgement', async () => {
    await expectEnd(publishPacket(stateTopic(code), '', 0x03, 8));
  });

  test('[MQTT-3.3.4-1] QoS 0 is not answered', async () => {
    here.send(uplinkPacket(code, 1));
    await expectAlive();
    await bed.cloud.until(() => bed.cloud.cursors.get(`${code}/event`)?.through === 1);
  });

  test.each([
    ['at QoS 2', 0x04, 3],
    ['at QoS 2, again', 0x0c, 3],
    ['at QoS 1', 0x02, 3],
    ['retained', 0x01, null],
  ])(
    '[MQTT-3.3.5-2] an uplink %s would be a promise nobody keeps: closed without acknowledgement',
    async (_name, flags, packet_id) => {
      await expectEnd(
        publishPacket(uplinkTopic(code, 'event'), uplinkPayload(1), flags, packet_id),
      );
    },
  );

  test('[MQTT-4.6.0-6] [MQTT-4.6.0-5] messages of one topic reach the cloud in the order they came', async () => {
    const packets = Array.from({ length: 200 }, (_, at) => uplinkPacket(code, at + 1));
    here.send(...packets);
    await bed.cloud.until(() => bed.cloud.cursors.get(`${code}/event`)?.through === 200);
    const mine = bed.cloud.committed.filter((key) => key.startsWith(`${code}/event`));
    expect(mine).toEqual(Array.from({ length: 200 }, (_, at) => `${code}/event/${at + 1}`));
    expect(bed.cloud.gaps).toBe(0);
  });
});

describe('what the gateway publishes', () => {
  test('[MQTT-3.3.2-3] [MQTT-3.3.1-3] [MQTT-3.3.1-9] [MQTT-4.6.0-6] commands: topic of the filter, QoS 1, no DUP, no RETAIN, in order', async () => {
    expect(await hearCommands(here, code, 1)).toEqual(suback(1, [1]));
    for (let version = 1; version <= 10; version += 1)
      bed.cloud.send({ station: code, command: numbered(version) });
    for (let version = 1; version <= 10; version += 1) {
      const { first_byte, topic, packet_id, json } = await nextPublish(true);
      expect([first_byte, topic, json]).toEqual([0x32, commandTopic(code), numbered(version)]);
      here.send(puback(packet_id));
    }
    await expectAlive();
  });

  test.each([
    [0, 0x30],
    [1, 0x32],
    [2, 0x32],
  ])(
    '[MQTT-3.8.4-6] a command to a subscription of QoS %i is sent with the lower QoS of the two',
    async (qos, first_byte) => {
      expect(await hearCommands(here, code, qos)).toEqual(suback(1, [qos]));
      bed.cloud.send({ station: code, command: COMMAND });
      const sent = await nextPublish(qos > 0);
      expect([sent.first_byte, sent.json]).toEqual([first_byte, COMMAND]);
    },
  );

  test('[MQTT-3.8.4-3] a second subscription to a filter replaces the first: each message comes once, at the new QoS', async () => {
    await hearCommands(here, code, 1);
    await hearCommands(here, code, 0);
    bed.cloud.send({ station: code, command: COMMAND });
    expect((await nextPublish(false)).first_byte).toBe(0x30);
    await expectAlive();
  });

  test.each([
    ['PUBREL', 0x62, 0x70],
    ['PUBREC', 0x50, 0x62],
  ])(
    '[MQTT-4.3.3-2] %s for a message unknown here is answered by its counterpart, and harms nobody',
    async (_name, first, answer) => {
      here.send(packet(first, [0x12, 0x34]));
      expect(await here.next()).toEqual(packet(answer, [0x12, 0x34]));
      here.send(packet(0x70, [0x12, 0x34]), puback(77));
      await expectAlive();
    },
  );
});

describe('SUBSCRIBE and UNSUBSCRIBE (3.8 to 3.11)', () => {
  test.each([
    ['[MQTT-3.8.3-1] [MQTT-1.5.3-1] of ill-formed UTF-8', [0x61, 0xff], 0],
    ['[MQTT-1.5.3-2] [MQTT-4.7.3-2] with U+0000', [0x61, 0, 0x62], 0],
    ['[MQTT-4.7.3-1] of no character', [], 0],
    ['[MQTT-3.8.3-4] at QoS 3', Buffer.from('a'), 3],
    ['[MQTT-3.8.3-4] with reserved bits', Buffer.from('a'), 0x04],
    ['[MQTT-3.8.3-4] with a bit of MQTT 5', Buffer.from('a'), 0x80],
    ['[MQTT-4.7.1-2] a#', Buffer.from('a#'), 0],
    ['[MQTT-4.7.1-2] a/#/b', Buffer.from('a/#/b'), 0],
    ['[MQTT-4.7.1-2] ##', Buffer.from('##'), 0],
    ['[MQTT-4.7.1-3] a+', Buffer.from('a+'), 0],
    ['[MQTT-4.7.1-3] +a/b', Buffer.from('+a/b'), 0],
    ['[MQTT-4.7.1-3] a/b+/c', Buffer.from('a/b+/c'), 0],
  ])('a filter %s closes', async (_name, filter, qos) => {
    await expectEnd(subscribePacket(1, [[filter, qos]]));
  });

  test('[MQTT-3.8.3-3] a SUBSCRIBE without filter closes', async () => {
    await expectEnd(packet(0x82, [0, 1]));
  });

  test('[MQTT-3.10.3-2] an UNSUBSCRIBE without filter closes', async () => {
    await expectEnd(packet(0xa2, [0, 1]));
  });

  test('[MQTT-3.10.3-1] an UNSUBSCRIBE with ill-formed UTF-8 closes', async () => {
    await expectEnd(packet(0xa2, [0, 1], field([0xed, 0xbf, 0xbf])));
  });

  test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] one SUBACK, a code for each filter, in order', async () => {
    here.send(
      subscribePacket(0xabcd, [
        [commandTopic(code), 2],
        ['#', 1],
        [ackTopic(code), 0],
        [commandTopic(station(9_999)), 1],
        ['a'.repeat(2_000), 0],
      ]),
    );
    expect(await here.next()).toEqual(suback(0xabcd, [2, 0x80, 0, 0x80, 0x80]));
    await expectAlive();
  });

  test.each([
    '#',
    '+',
    '+/+',
    '/',
    '/+',
    'ws/1/+/ack',
    '$SYS/#',
    'ws/1/#',
    'a b/中文/ü',
    `${'a/'.repeat(40)}a`,
  ])(
    '[MQTT-3.8.3-2] [MQTT-4.7.2-1] %s is refused with 0x80, the connection stays',
    async (filter) => {
      here.send(subscribePacket(2, [[filter, 1]]));
      expect(await here.next()).toEqual(suback(2, [0x80]));
      await expectAlive();
    },
  );

  test('[MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] after UNSUBACK nothing more comes; a filter of another case changes nothing', async () => {
    await hearCommands(here, code, 1);
    here.send(unsubscribePacket(3, [commandTopic(code).toUpperCase()]));
    expect(await here.next()).toEqual(packet(0xb0, [0, 3]));
    bed.cloud.send({ station: code, command: COMMAND });
    expect((await nextPublish(true)).json).toEqual(COMMAND);
    here.send(unsubscribePacket(4, [commandTopic(code)]));
    expect(await here.next()).toEqual(packet(0xb0, [0, 4]));
    const { commands_undeliverable } = counters();
    bed.cloud.send({ station: code, command: COMMAND });
    await expect.poll(() => counters().commands_undeliverable).toBe(commands_undeliverable + 1);
    await expectAlive();
  });

  test('[MQTT-3.10.4-5] [MQTT-3.10.4-6] several filters, none of them subscribed: one UNSUBACK', async () => {
    here.send(unsubscribePacket(5, ['a', '+/b', '#', commandTopic(code)]));
    expect(await here.next()).toEqual(packet(0xb0, [0, 5]));
    await expectAlive();
  });

  test('[MQTT-3.10.4-3] a command being sent is sent whole, whatever UNSUBSCRIBE does', async () => {
    await hearCommands(here, code, 1);
    const command: Command = { kind: 'statusList', version: 1, body: 'A'.repeat(400_000) };
    bed.cloud.send({ station: code, command });
    const { json } = await nextPublish(true);
    here.send(unsubscribePacket(6, [commandTopic(code)]));
    expect(json).toEqual(command);
    expect(await here.next()).toEqual(packet(0xb0, [0, 6]));
  });
});

describe('PINGREQ and DISCONNECT', () => {
  test('[MQTT-3.12.4-1] every PINGREQ has its PINGRESP', async () => {
    here.send(PINGREQ, PINGREQ, PINGREQ);
    for (let count = 0; count < 3; count += 1) expect(await here.next()).toEqual(PINGRESP);
  });

  test('[MQTT-3.14.4-1] [MQTT-3.14.4-2] after DISCONNECT the gateway closes, and reads nothing more', async () => {
    await expectEnd(DISCONNECT, uplinkPacket(code, 1), PINGREQ);
    expect(bed.cloud.cursors.has(`${code}/event`)).toBe(false);
  });

  test('[MQTT-4.1.0-2] a session lasts as long as its connection', async () => {
    await hearCommands(here, code, 1);
    const stranger = await acceptedStation(bed.mqtt_port, station(5_000));
    stranger.send(DISCONNECT);
    await stranger.untilClosed();
    bed.cloud.send({ station: code, command: COMMAND });
    expect((await nextPublish(true)).json).toEqual(COMMAND);
  });
});
