import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { fakeClock, type FakeClock } from '@waystation/runtime/clock';
import {
  crc16,
  createSlave,
  wireTime_ms,
  type ModbusSlave,
  type RegisterBank,
} from './modbus-slave.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The device of the worked examples at simplymodbus.ca: coils from 0x13, registers from 0x6b, inputs from 0xc4. */
const COIL_BITS = [0xcd, 0x6b, 0xb2, 0x0e, 0x1b].flatMap((byte) =>
  Array.from({ length: 8 }, (_, bit) => ((byte >> bit) & 1) === 1),
);
const DISCRETE_BITS = [0xac, 0xdb, 0x35].flatMap((byte) =>
  Array.from({ length: 8 }, (_, bit) => ((byte >> bit) & 1) === 1),
);

interface Bench {
  clock: FakeClock;
  slave: ModbusSlave;
  sent: string[];
  written: string[];
  feed: (bytes: Uint8Array) => void;
}
let bench: Bench;

function createBench(baud?: number): Bench {
  const clock = fakeClock();
  const sent: string[] = [];
  const written: string[] = [];
  let feed: (bytes: Uint8Array) => void = () => {};
  const bank: RegisterBank = {
    unit: 0x11,
    readBit: (table, address) =>
      (table === 'coil' ? COIL_BITS[address - 0x13] : DISCRETE_BITS[address - 0xc4]) ?? null,
    readWord: (table, address) =>
      table === 'holding'
        ? ([0xae41, 0x5652, 0x4340][address - 0x6b] ?? null)
        : address === 8
          ? 10
          : null,
    writeCoil: (address, on) => {
      written.push(`coil ${address} ${on}`);
      return null;
    },
    writeHolding: (address, value) => {
      written.push(`register ${address} ${value}`);
      return null;
    },
  };
  const line = {
    write: (bytes: Uint8Array) => sent.push(text(bytes)),
    onData: (listener: (bytes: Uint8Array) => void) => (feed = listener),
  };
  const slave = createSlave({ line, banks: [bank], clock, baud });
  return { clock, slave, sent, written, feed: (bytes) => feed(bytes) };
}
beforeEach(() => {
  bench = createBench();
});

test('CRC-16/MODBUS has its catalogued check value', () => {
  expect(crc16(Buffer.from('123456789'))).toBe(0x4b37);
});

test.each([
  ['read coils', '11 01 0013 0025 0e84', '11 01 05 cd6bb20e1b 45e6'],
  ['read discrete inputs', '11 02 00c4 0016 baa9', '11 02 03 acdb35 2018'],
  ['read holding registers', '11 03 006b 0003 7687', '11 03 06 ae41 5652 4340 49ad'],
  ['read input registers', '11 04 0008 0001 b298', '11 04 02 000a f8f4'],
  ['write one coil', '11 05 00ac ff00 4e8b', '11 05 00ac ff00 4e8b'],
  ['write one register', '11 06 0001 0003 9a9b', '11 06 0001 0003 9a9b'],
])('%s: the published frames, byte for byte', (_name, request, reply) => {
  bench.feed(hex(request));
  expect(bench.sent).toEqual([text(hex(reply))]);
});

test('an address it does not have is exception 2, an unknown function 1, a bad count or coil value 3', () => {
  const frame = (body: string) => {
    const crc = crc16(hex(body));
    return Uint8Array.of(...hex(body), crc & 0xff, crc >> 8);
  };
  for (const body of [
    '11 01 04a1 0001',
    '11 2b 0e01 0000',
    '11 10 0001 0001 02 000a',
    '11 03 006b 0000',
    '11 03 006b 007e',
    '11 01 0013 07d1',
    '11 05 00ac 1234',
  ]) {
    bench.feed(frame(body));
  }
  expect(bench.sent.map((reply) => reply.slice(0, 6))).toEqual([
    '118102',
    '11ab01',
    '119001',
    '118303',
    '118303',
    '118103',
    '118503',
  ]);
});

test('other units are ignored, a broadcast write is done and not answered', () => {
  bench.feed(hex('0a 01 04a1 0001 ac63'));
  expect(bench.slave.counters).toEqual({ requests: 0, crc_errors: 0, not_ours: 1 });
  const broadcast = [0, 5, 0, 0xac, 0xff, 0];
  const crc = crc16(Uint8Array.from(broadcast));
  bench.feed(Uint8Array.of(...broadcast, crc & 0xff, crc >> 8));
  expect(bench.sent).toEqual([]);
  expect(bench.written).toEqual(['coil 172 true']);
});

test('a damaged frame is counted and not answered, whichever bit is hit', () => {
  const request = hex('11 05 00ac ff00 4e8b');
  for (let bit = 0; bit < 64; bit++) {
    const broken = createBench();
    broken.feed(request.with(bit >> 3, (request[bit >> 3] ?? 0) ^ (1 << (bit & 7))));
    expect(broken.sent, `bit ${bit}`).toEqual([]);
    expect(broken.written, `bit ${bit}`).toEqual([]);
  }
});

test('a half frame is forgotten after a silence, also one that promised to be long', async () => {
  bench.feed(hex('11 10 0001 007b f6'));
  await bench.clock.advance(30);
  bench.feed(hex('11 03 006b 0003 7687'));
  expect(bench.sent).toHaveLength(1);
});

test('however the line cuts noise and requests, every request is served once', () => {
  const request = [...hex('11 04 0008 0001 b298')];
  const noise = fc.array(fc.constantFrom(0xff, 0xfe, 0xaa), { maxLength: 6 });
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 9 }));
  fc.assert(
    fc.property(fc.array(noise, { minLength: 1, maxLength: 6 }), cuts, (noises, sizes) => {
      const line = Uint8Array.from(noises.flatMap((junk) => [...junk, ...request]));
      const cut = createBench();
      for (let at = 0; at < line.length;) {
        const size = sizes.next().value ?? 1;
        cut.feed(line.subarray(at, at + size));
        at += size;
      }
      expect(cut.sent).toHaveLength(noises.length);
    }),
  );
});

test('at a given speed the reply comes when a wire would have brought it', async () => {
  const slow = createBench(9600);
  slow.feed(hex('11 04 0008 0001 b298'));
  const due_ms = wireTime_ms(9600, 8) + wireTime_ms(9600, 7);
  expect(due_ms).toBeCloseTo(25.2, 1); // 15 characters of 11 bits and two silences of 3.5
  await slow.clock.advance(due_ms - 1);
  expect(slow.sent).toEqual([]);
  await slow.clock.advance(1);
  expect(slow.sent).toHaveLength(1);
});
