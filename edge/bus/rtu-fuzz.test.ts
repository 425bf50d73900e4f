/** 100,000 damaged replies in pieces of any size: none throws, none is believed unless an independent check finds it on the wire. */
import { expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { encodeRequest, type RtuRequest } from './rtu-frame.ts';
import {
  LINE_TIMING,
  stepTransaction,
  type RtuOutcome,
  type Transaction,
} from './rtu-transaction.ts';
import { sealed, slaveCrc } from './scripted-slave.ts';

const SEED = 20_261;
const INPUTS = 100_000;
const TIMING = { ...LINE_TIMING, gap_ms: 1.75 };

const random = prng(SEED);
const below = (limit: number) => Math.floor(random() * limit);
const byte = () => below(256);
const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];

function anyRequest(): RtuRequest {
  const at = { unit: 1 + below(2), address: below(4) };
  return pick<RtuRequest>([
    { fc: 1, ...at, count: 1 + below(24) },
    { fc: 2, ...at, count: 16 },
    { fc: 3, ...at, count: 1 },
    { fc: 4, ...at, count: 1 + below(10) },
    { fc: 5, ...at, on: random() < 0.5 },
    { fc: 6, ...at, value: below(600) },
  ]);
}

/** What an honest unit sends: the reply, or now and then an exception. */
function anyReply(request: RtuRequest, frame: Uint8Array): Uint8Array {
  if (random() < 0.1) return sealed(request.unit, request.fc + 0x80, 1 + below(6));
  if (request.fc === 5 || request.fc === 6) return frame;
  const size = request.fc <= 2 ? Math.ceil(request.count / 8) : request.count * 2;
  return sealed(request.unit, request.fc, size, ...Array.from({ length: size }, byte));
}

type Mutation = (bytes: number[]) => number[];
/** A CRC of 16 bits finds each of these for certain in frames as short as ours: up to 3 bits, or a burst of up to 16. */
const CERTAIN: Record<string, Mutation> = {
  '1 to 3 bits': (bytes) => {
    const bits = new Set(Array.from({ length: 1 + below(3) }, () => below(bytes.length * 8)));
    for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return bytes;
  },
  'burst of 2 bytes': (bytes) => {
    const at = below(bytes.length - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + below(255));
    bytes[at + 1] = (bytes[at + 1] ?? 0) ^ byte();
    return bytes;
  },
  truncated: (bytes) => bytes.slice(0, below(bytes.length)),
};
const ANY: Record<string, Mutation> = {
  'noise around': (bytes) => [
    ...Array.from({ length: below(12) }, byte),
    ...bytes,
    ...Array.from({ length: below(12) }, byte),
  ],
  inserted: (bytes) =>
    bytes.toSpliced(below(bytes.length), 0, ...Array.from({ length: 1 + below(3) }, byte)),
  removed: (bytes) => bytes.toSpliced(below(bytes.length), 1 + below(3)),
  'several bytes': (bytes) => bytes.map((value) => (random() < 0.3 ? byte() : value)),
  'noise only': () => Array.from({ length: below(40) }, byte),
  'another unit': ([, fc = 0, ...rest]) => [...sealed(3, fc, ...rest.slice(0, -2))],
  'another function': ([unit = 0, fc = 0, ...rest]) => [
    ...sealed(unit, (fc + 1 + below(3)) & 0x7f, ...rest.slice(0, -2)),
  ],
  'twice, the first damaged': (bytes) => [
    ...bytes.map((value, at) => (at === 3 ? value ^ 0x40 : value)),
    ...bytes,
  ],
  babble: (bytes) => [...Array.from({ length: 600 }, () => pick([1, 2, 4, 5])), ...bytes],
};

/** Feeds the stream in pieces of any size, then lets the timeout pass; the outcome is settled exactly once. */
function receive(request: RtuRequest, stream: number[]): RtuOutcome {
  let state: Transaction = { s: 'free', heard_at: monoMs(0), late: null };
  const outcomes: RtuOutcome[] = [];
  const step = (input: Parameters<typeof stepTransaction>[1], now: number) => {
    const { next, effects } = stepTransaction(state, input, monoMs(now), TIMING);
    state = next;
    for (const effect of effects) if (effect.e === 'settle') outcomes.push(effect.outcome);
  };
  step({ i: 'send', request }, 10);
  for (let at = 0; at < stream.length;) {
    const size = random() < 0.3 ? 1 : 1 + below(40);
    step({ i: 'bytes', bytes: Uint8Array.from(stream.slice(at, at + size)) }, 20);
    at += size;
  }
  step({ i: 'tick' }, 110);
  step({ i: 'tick' }, 125);
  const [outcome] = outcomes;
  if (outcome === undefined || outcomes.length !== 1)
    throw new Error(`settled ${outcomes.length} times, seed=${SEED}`);
  return outcome;
}

/** By another route than the master's: is there a stretch of the stream with a right CRC that says exactly this? */
function isOnTheWire(
  request: RtuRequest,
  frame: Uint8Array,
  stream: number[],
  outcome: RtuOutcome,
): boolean {
  for (let start = 0; start < stream.length; start += 1) {
    if (stream[start] !== request.unit || (stream[start + 1] ?? 0) % 128 !== request.fc) continue;
    for (let end = start + 5; end <= Math.min(stream.length, start + 30); end += 1) {
      const part = stream.slice(start, end);
      if (slaveCrc(part) === 0 && says(request, frame, part, outcome)) return true;
    }
  }
  return false;
}
function says(
  request: RtuRequest,
  frame: Uint8Array,
  part: number[],
  outcome: RtuOutcome,
): boolean {
  if (!outcome.ok)
    return (
      outcome.failure === 'exception' && part[1] === request.fc + 128 && part[2] === outcome.code
    );
  if (request.fc === 5 || request.fc === 6) return part.join() === frame.join();
  if (part[1] !== request.fc || part[2] !== part.length - 5) return false;
  const data = part.slice(3, -2);
  const bits = data.flatMap((value) =>
    value.toString(2).padStart(8, '0').split('').toReversed().map(Number),
  );
  const words = data.flatMap((value, at) =>
    at % 2 === 0 ? [value * 256 + (data[at + 1] ?? 0)] : [],
  );
  return outcome.values.join() === (request.fc <= 2 ? bits.slice(0, request.count) : words).join();
}

test(`${INPUTS} damaged replies`, { timeout: 60_000 }, () => {
  const reached: Record<string, Record<string, number>> = {};
  for (let count = 0; count < INPUTS; count += 1) {
    const request = anyRequest();
    const frame = encodeRequest(request);
    const name = pick(Object.keys({ ...CERTAIN, ...ANY }) as [string, ...string[]]);
    const mutate = CERTAIN[name] ?? ANY[name] ?? ((bytes: number[]) => bytes);
    const stream = mutate([...anyReply(request, frame)]);
    const outcome = receive(request, stream);
    const kind = outcome.ok ? 'answered' : outcome.failure;
    const row = (reached[name] ??= {});
    row[kind] = (row[kind] ?? 0) + 1;
    if (kind !== 'answered' && kind !== 'exception') continue;
    const facts = `seed=${SEED} input=${count} ${name}: ${JSON.stringify(request)} ${stream.join(' ')}`;
    expect(name in CERTAIN, `a certain error was believed: ${facts}`).toBe(false);
    expect(isOnTheWire(request, frame, stream, outcome), `not on the wire: ${facts}`).toBe(true);
  }
  console.table(reached);
  for (const name of Object.keys({ ...CERTAIN, ...ANY })) expect(reached[name], name).toBeDefined();
  // Chance meets a CRC of 16 bits once in 65,536 candidates; whole replies between noise are always found.
  expect(reached['noise around']?.answered).toBeGreaterThan(INPUTS / 20);
  expect(reached['several bytes']?.crc).toBeGreaterThan(100);
});
