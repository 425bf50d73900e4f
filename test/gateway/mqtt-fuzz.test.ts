/** Spoiled MQTT streams at the front door, twenty thousand of them over real sockets: nobody else may notice. */
import { createConnection } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPacketMeter } from '@waystation/gateway/packet-meter';
import type { StationCode } from '@waystation/protocol/station-code';
import { ackTopic, commandTopic, stateTopic, uplinkTopic } from '@waystation/protocol/topics';
import { prng } from '@waystation/runtime/prng';
import {
  birth,
  connectStation,
  death,
  startTestBed,
  station,
  uplinkPayload,
  type TestBed,
} from './harness.ts';
import {
  connectPacket,
  DISCONNECT,
  packet,
  PINGREQ,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
  uplinkPacket,
} from './raw-station.ts';

const STREAMS = 20_000;
const AT_ONCE = 40;
const SEED = 20_260_311;
const FUZZED = Array.from({ length: 16 }, (_, at) => station(at + 1));
/** Named in the streams of others, never connected itself. */
const VICTIM = station(500);
const NEIGHBOUR = station(600);

let bed: TestBed;
beforeAll(async () => {
  bed = await startTestBed();
});
afterAll(() => bed.close());

/** The packets of one honest connection, and of one that reaches for what is not its own. */
function connection(code: StationCode, random: () => number): Buffer[] {
  const foreign = random() < 0.2 ? VICTIM : code;
  const id = Math.floor(random() * (random() < 0.05 ? 2 : 65_536));
  const nameless = random() < 0.02 ? { client_id: '', flags: 0xec } : {};
  const middle = [
    subscribePacket(id, [
      [ackTopic(code), 0],
      [commandTopic(foreign), 1],
    ]),
    publishPacket(stateTopic(foreign), JSON.stringify(birth('a')), 0x03, id),
    uplinkPacket(foreign, 1),
    uplinkPacket(code, 1, 'sample'),
    publishPacket(uplinkTopic(code, 'event'), uplinkPayload(2, 40)),
    PINGREQ,
    packet(0x40, [id >> 8, id & 0xff]),
    packet(0x62, [id >> 8, id & 0xff]),
    packet(0x50, [id >> 8, id & 0xff]),
    unsubscribePacket(id, [ackTopic(foreign)]),
    publishPacket(stateTopic(code), JSON.stringify(death('a', true)), 0x03, id),
  ];
  const some = middle.filter(() => random() < 0.5);
  return [connectPacket(code, nameless), ...some, ...(random() < 0.7 ? [DISCONNECT] : [])];
}

const INTERESTING = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x23, 0x2b, 0x2f, 0x10, 0x30, 0xc0, 0xe0, 0xed];

/** One wound: a bit, a byte, a piece taken out, put in, or said twice. */
function wound(bytes: Buffer, random: () => number): Buffer {
  const below = (count: number) => Math.floor(random() * count);
  // Half of the wounds fall near the head, where the meaning is.
  const at = below(Math.max(1, random() < 0.5 ? Math.min(bytes.length, 8) : bytes.length));
  const length = 1 + below(8);
  const spoiled = Buffer.from(bytes);
  switch (below(6)) {
    case 0:
      if (at < spoiled.length) spoiled[at] = (spoiled[at] ?? 0) ^ (1 << below(8));
      return spoiled;
    case 1:
      if (at < spoiled.length) spoiled[at] = INTERESTING[below(INTERESTING.length)] ?? 0;
      return spoiled;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3: {
      const noise = Buffer.from(Array.from({ length }, () => below(256)));
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
    case 4:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default:
      return bytes.subarray(0, at);
  }
}

/** Up to three wounds; most streams keep their CONNECT whole, so that they get in. */
function spoil(packets: Buffer[], random: () => number): Buffer {
  const spoiled = [...packets];
  const first = random() < 0.6 && packets.length > 1 ? 1 : 0;
  for (let wounds = 1 + Math.floor(random() * 3); wounds > 0; wounds -= 1) {
    const which = first + Math.floor(random() * (spoiled.length - first));
    const target = spoiled[which] ?? Buffer.alloc(0);
    spoiled[which] = wound(target, random);
    if (random() < 0.1) spoiled.splice(which, 0, target);
    if (random() < 0.1) spoiled.push(spoiled.splice(which, 1)[0] ?? Buffer.alloc(0));
  }
  return Buffer.concat(spoiled);
}

/**
 * The gateway lives in this process: so many turns of the event loop bring it through CONNECT and what follows.
 * One connection is accepted in a turn.
 */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Sends in pieces, hangs up, and resolves with what came back when the gateway has closed. */
function run(bytes: Buffer, pieces: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port: bed.mqtt_port });
    const answers: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answers.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(answers)));
    socket.on('connect', () => {
      const step = Math.ceil(bytes.length / pieces) || 1;
      for (let at = 0; at < bytes.length; at += step) socket.write(bytes.subarray(at, at + step));
      void turns(3 * AT_ONCE).then(() => socket.end());
    });
  });
}

/** What the meter says of the stream: the same eyes as the gateway's, told apart by reason. */
function verdict(bytes: Buffer): string {
  const meter = createPacketMeter({
    control_bytes_max: 4096,
    publish_bytes_max: 65_536 + 128,
    publish_header_bytes_max: 128,
  });
  const said = meter.feed(bytes);
  return typeof said === 'string' ? said : meter.disconnected ? 'disconnected' : 'well-formed';
}

/** Everything the meter can say: a fuzzer that misses one proves nothing of it. */
const REASONS =
  `type flags length packetId utf8 topic filter protocolName connectFlags secondConnect level emptyId
  notConnect controlTooLong publishTooLong lengthMalformed disconnected well-formed`.split(/\s+/);

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');
function heapMb(): number {
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

test(`${STREAMS} spoiled streams harm nobody (seed ${SEED})`, async () => {
  const { cloud, gateway } = bed;
  const neighbour = await connectStation(`mqtt://127.0.0.1:${bed.mqtt_port}`, NEIGHBOUR);
  const verdicts: Record<string, number> = {};
  const connacks: Record<number, number> = {};
  const started_ms = performance.now();
  let next = 0;
  let heap_mb = 0;
  const worker = async () => {
    while (next < STREAMS) {
      const index = (next += 1);
      const random = prng(SEED + index);
      const code = FUZZED[index % FUZZED.length] ?? VICTIM;
      const bytes = spoil(connection(code, random), random);
      const reason = verdict(bytes);
      verdicts[reason] = (verdicts[reason] ?? 0) + 1;
      const answer = await run(bytes, 1 + Math.floor(random() * 3));
      if (answer.length > 0) {
        // Whatever was said to the gateway, its first word is a CONNACK with a code of the table.
        const [first, length, present, connack = -1] = answer;
        expect([first, length, present], `seed ${SEED}, stream ${index}`).toEqual([0x20, 2, 0]);
        connacks[connack] = (connacks[connack] ?? 0) + 1;
      }
      if (index % 1_000 === 0) neighbour.send('event', index / 1_000);
      if (index === 2_000) heap_mb = heapMb();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const streams_s = Math.round(STREAMS / ((performance.now() - started_ms) / 1_000));
  await expect.poll(() => neighbour.acks.at(-1)?.through).toBe(STREAMS / 1_000);

  expect(neighbour.client.connected).toBe(true);
  expect(neighbour.commands).toEqual([]);
  const known = new Set<string>([NEIGHBOUR, ...FUZZED]);
  const heard = [...cloud.cursors.keys()].map((key) => key.split('/')[0] ?? '');
  expect(heard.filter((code) => !known.has(code))).toEqual([]);
  expect(cloud.presence.filter((change) => !known.has(change.station))).toEqual([]);
  expect(Object.keys(connacks).toSorted()).toEqual(['0', '1', '2', '4', '5']);
  const grown_mb = heapMb() - heap_mb;
  expect(grown_mb, `seed ${SEED}`).toBeLessThan(40);

  const { counters } = gateway;
  const reached = {
    refused_protocol: counters.refused_protocol,
    refused_credential: counters.refused_credential,
    refused_will: counters.refused_will,
    refused_publish: counters.refused_publish,
    refused_subscribe: counters.refused_subscribe,
    refused_size: counters.refused_size,
    presence_malformed: counters.presence_malformed,
    presence_changes: counters.presence_changes,
    sessions: counters.sessions,
    takeovers: counters.takeovers,
    uplink_messages: counters.uplink_messages,
  };
  console.log(JSON.stringify({ streams_s, grown_mb, verdicts, connacks, reached }));
  for (const [name, count] of Object.entries(reached)) expect(count, name).toBeGreaterThan(0);
  for (const reason of REASONS) expect(verdicts[reason] ?? 0, reason).toBeGreaterThan(0);
});
