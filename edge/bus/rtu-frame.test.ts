import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  afterEcho,
  crc16,
  encodeRequest,
  findReply,
  replyLength,
  silentGapMs,
  type RtuRequest,
} from './rtu-frame.ts';
import { sealed } from './scripted-slave.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .toString('hex')
    .replaceAll(/..(?=.)/g, '$& ');

describe('CRC-16/MODBUS', () => {
  test('its published check value, and the frame of the serial line guide (02 07 → 41 12)', () => {
    expect(crc16(Buffer.from('123456789'))).toBe(0x4b37);
    expect(crc16(hex('02 07'))).toBe(0x1241);
    expect(crc16(hex('01 03 00 00 00 0A'))).toBe(0xcdc5);
  });
});

/** The examples of the Modbus Application Protocol V1.1b3, clauses 6.1 to 6.6: request PDU, reply PDU, values. */
const EXAMPLES: { request: RtuRequest; asks: string; answers: string; values: number[] }[] = [
  {
    request: { fc: 1, unit: 1, address: 0x13, count: 19 },
    asks: '01 00 13 00 13',
    answers: '01 03 CD 6B 05',
    values: [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1],
  },
  {
    request: { fc: 2, unit: 1, address: 0xc4, count: 22 },
    asks: '02 00 C4 00 16',
    answers: '02 03 AC DB 35',
    values: [0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1],
  },
  {
    request: { fc: 3, unit: 1, address: 0x6b, count: 3 },
    asks: '03 00 6B 00 03',
    answers: '03 06 02 2B 00 00 00 64',
    values: [555, 0, 100],
  },
  {
    request: { fc: 4, unit: 1, address: 8, count: 1 },
    asks: '04 00 08 00 01',
    answers: '04 02 00 0A',
    values: [10],
  },
  {
    request: { fc: 5, unit: 1, address: 0xac, on: true },
    asks: '05 00 AC FF 00',
    answers: '05 00 AC FF 00',
    values: [],
  },
  {
    request: { fc: 6, unit: 1, address: 1, value: 3 },
    asks: '06 00 01 00 03',
    answers: '06 00 01 00 03',
    values: [],
  },
];

describe.each(EXAMPLES)('function code 0$request.fc', ({ request, asks, answers, values }) => {
  const frame = encodeRequest(request);
  const reply = sealed(1, ...hex(answers));

  test('asks and understands as the specification writes it', () => {
    expect(toHex(frame)).toBe(toHex(sealed(1, ...hex(asks))));
    expect(findReply(request, frame, reply)).toEqual({
      found: 'reply',
      values,
      length: reply.length,
    });
    expect(replyLength(request)).toBe(reply.length);
  });

  test('finds the reply between noise, and an exception where there is one', () => {
    const noisy = Uint8Array.from([0, 1, 0xff, 7, 1, ...reply, 0x55, 0xaa]);
    expect(findReply(request, frame, noisy)).toMatchObject({ found: 'reply', values });
    const refused = sealed(1, request.fc + 0x80, 6);
    expect(findReply(request, frame, refused)).toEqual({ found: 'exception', code: 6, length: 5 });
  });

  test('takes nothing damaged, cut or meant for another', () => {
    for (let at = 0; at < reply.length * 8; at += 1) {
      const damaged = reply.slice();
      damaged[at >> 3] = (damaged[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(findReply(request, frame, damaged).found).toBe('nothing');
    }
    for (let length = 0; length < reply.length; length += 1) {
      expect(findReply(request, frame, reply.subarray(0, length))).toEqual({
        found: 'nothing',
        bad_crc: false,
      });
    }
    expect(findReply(request, frame, sealed(2, ...hex(answers))).found).toBe('nothing');
    const other = { ...request, address: request.address + 1 };
    if (request.fc >= 5)
      expect(findReply(other, encodeRequest(other), reply).found).toBe('nothing');
  });
});

test('a damaged reply is told from none', () => {
  const request: RtuRequest = { fc: 4, unit: 1, address: 0, count: 2 };
  const reply = sealed(1, 4, 4, 0, 1, 0, 2);
  reply[5] = 9;
  expect(findReply(request, encodeRequest(request), reply)).toEqual({
    found: 'nothing',
    bad_crc: true,
  });
});

test('a read never takes its own echo for the reply', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<(1 | 2 | 3 | 4)[]>(1, 2, 3, 4),
      fc.nat(0xffff),
      fc.integer({ min: 1, max: 125 }),
      (code, address, count) => {
        const request = { fc: code, unit: 1, address, count };
        const frame = encodeRequest(request);
        expect(findReply(request, frame, frame).found).toBe('nothing');
      },
    ),
    { examples: [[2, 0x0312, 24]] }, // an echo that has the very shape of a reply
  );
});

test('behind the echo begins the reply', () => {
  const frame = encodeRequest({ fc: 5, unit: 1, address: 0, on: true });
  expect(afterEcho(frame, frame)).toHaveLength(0);
  expect(afterEcho(frame, frame.subarray(0, 7))).toBeNull();
  expect(afterEcho(frame, Uint8Array.from([9, ...frame, 1, 2]))).toEqual(Uint8Array.from([1, 2]));
});

test('the silence between frames is 3.5 characters, fixed above 19,200 baud', () => {
  expect(silentGapMs(9600)).toBeCloseTo(4.01, 2);
  expect(silentGapMs(19_200)).toBeCloseTo(2.005, 3);
  expect(silentGapMs(115_200)).toBe(1.75);
});

test('a caller that asks for the impossible is stopped', () => {
  expect(() => encodeRequest({ fc: 4, unit: 0, address: 0, count: 1 })).toThrow(/broadcast/);
  expect(() => encodeRequest({ fc: 4, unit: 1, address: 0, count: 126 })).toThrow();
  expect(() => encodeRequest({ fc: 4, unit: 1, address: 65_536, count: 1 })).toThrow();
  expect(() => encodeRequest({ fc: 6, unit: 1, address: 0, value: -1 })).toThrow();
});
