import fc from 'fast-check';
import { expect, test } from 'vitest';
import { monoMs } from '@waystation/runtime/clock';
import { encodeRequest, silentGapMs, type RtuRequest } from './rtu-frame.ts';
import {
  earliestStart,
  LINE_TIMING,
  stepTransaction,
  type Transaction,
  type TransactionEffect,
  type TransactionInput,
} from './rtu-transaction.ts';
import { sealed } from './scripted-slave.ts';

const TIMING = { ...LINE_TIMING, gap_ms: silentGapMs(115_200) };
const REQUEST: RtuRequest = { fc: 4, unit: 1, address: 0, count: 2 };
const REPLY = sealed(1, 4, 4, 0, 7, 0, 8);
const DAMAGED = REPLY.map((byte, at) => (at === 4 ? byte ^ 1 : byte));

const awaiting = {
  s: 'awaitingReply',
  request: REQUEST,
  frame: encodeRequest(REQUEST),
  deadline: monoMs(100),
  received: new Uint8Array(0),
  heard_at: monoMs(0),
  bad_crc: false,
  graced: false,
} as const;
const STATES: Record<string, Transaction> = {
  closed: { s: 'closed' },
  free: { s: 'free', heard_at: monoMs(0), late: null },
  'free after a failure': {
    s: 'free',
    heard_at: monoMs(0),
    late: { request: REQUEST, until: monoMs(150) },
  },
  awaitingReply: awaiting,
  'awaitingReply, half of it came': { ...awaiting, received: REPLY.subarray(0, 4) },
  'awaitingReply, it came damaged': {
    ...awaiting,
    received: DAMAGED,
    heard_at: monoMs(10),
    bad_crc: true,
  },
  'awaitingReply in grace': { ...awaiting, graced: true },
};
const INPUTS: Record<string, { input: TransactionInput; now: number }> = {
  lineUp: { input: { i: 'lineUp' }, now: 20 },
  lineDown: { input: { i: 'lineDown' }, now: 20 },
  send: { input: { i: 'send', request: REQUEST }, now: 20 },
  refused: { input: { i: 'refused' }, now: 20 },
  'bytes: the reply': { input: { i: 'bytes', bytes: REPLY }, now: 20 },
  'bytes: its second half': { input: { i: 'bytes', bytes: REPLY.subarray(4) }, now: 20 },
  'bytes: the reply damaged': { input: { i: 'bytes', bytes: DAMAGED }, now: 20 },
  'bytes: an exception': { input: { i: 'bytes', bytes: sealed(1, 0x84, 2) }, now: 20 },
  'bytes: another unit': { input: { i: 'bytes', bytes: sealed(2, 4, 4, 0, 7, 0, 8) }, now: 20 },
  'bytes: noise and the reply': {
    input: { i: 'bytes', bytes: Uint8Array.from([1, 4, 0, ...REPLY]) },
    now: 20,
  },
  'tick, too early': { input: { i: 'tick' }, now: 29 },
  'tick after silence': { input: { i: 'tick' }, now: 31 },
  'tick at the deadline': { input: { i: 'tick' }, now: 100 },
  'tick long after it': { input: { i: 'tick' }, now: 250 },
};

const printState = (state: Transaction): string => {
  switch (state.s) {
    case 'closed':
      return 'closed';
    case 'free':
      return `free, heard at ${state.heard_at}${state.late ? `, late replies until ${state.late.until}` : ''}`;
    case 'awaitingReply': {
      const marks = [state.bad_crc ? 'damaged' : '', state.graced ? 'graced' : ''].filter(Boolean);
      return [
        `awaitingReply until ${state.deadline}`,
        `${state.received.length} bytes`,
        ...marks,
      ].join(', ');
    }
    default:
      return state satisfies never;
  }
};
const printEffect = (effect: TransactionEffect): string => {
  switch (effect.e) {
    case 'write':
      return 'write';
    case 'graced':
      return 'graced';
    case 'discarded':
      return `discarded ${effect.count}`;
    case 'settle': {
      const { outcome } = effect;
      if (outcome.ok) return `settle ${outcome.values.join(' ')}`;
      return outcome.failure === 'exception'
        ? `settle exception ${outcome.code}`
        : `settle ${outcome.failure}`;
    }
    default:
      return effect satisfies never;
  }
};

test('every state and every input', async () => {
  const rows = Object.entries(STATES).flatMap(([name, state]) =>
    Object.entries(INPUTS).map(([event, { input, now }]) => {
      if (state.s === 'awaitingReply' && input.i === 'send')
        return `${name} + ${event} -> a bug of the caller`;
      const { next, effects } = stepTransaction(state, input, monoMs(now), TIMING);
      const told = effects.length > 0 ? ` [${effects.map(printEffect).join(', ')}]` : '';
      return `${name} + ${event} @${now} -> ${next === state ? 'same' : printState(next)}${told}`;
    }),
  );
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('rtu-transaction.table.txt');
});

test('two requests at once are a bug of the caller', () => {
  expect(() =>
    stepTransaction(awaiting, { i: 'send', request: REQUEST }, monoMs(1), TIMING),
  ).toThrow(/one request/);
});

test('the next frame waits for silence; only one that a late reply could answer waits longer', () => {
  const late = { request: REQUEST, until: monoMs(150) };
  const free = { s: 'free', heard_at: monoMs(100), late } as const;
  const start = (request: RtuRequest, asked_at = 100) =>
    earliestStart(free, request, monoMs(asked_at), TIMING);
  expect(start(REQUEST)).toBe(150);
  expect(start({ ...REQUEST, unit: 2 })).toBe(101.75);
  expect(start({ fc: 5, unit: 1, address: 0, on: true })).toBe(101.75);
  expect(start({ ...REQUEST, unit: 2 }, 20)).toBe(70); // the line never fell silent
});

test('noise without end is bounded', () => {
  let state: Transaction = awaiting;
  let discarded = 0;
  for (let turn = 0; turn < 100; turn += 1) {
    const step = stepTransaction(
      state,
      { i: 'bytes', bytes: new Uint8Array(100).fill(0x55) },
      monoMs(turn),
      TIMING,
    );
    state = step.next;
    for (const effect of step.effects) if (effect.e === 'discarded') discarded += effect.count;
  }
  expect(state.s === 'awaitingReply' && state.received.length).toBe(512);
  expect(discarded).toBe(100 * 100 - 512);
  const last = stepTransaction(state, { i: 'bytes', bytes: REPLY }, monoMs(99), TIMING);
  expect(last.effects.at(-1)).toEqual({ e: 'settle', outcome: { ok: true, values: [7, 8] } });
});

test('how a reply is cut, and what noise lies around it, does not matter', () => {
  const noise = fc.uint8Array({ maxLength: 20 });
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 });
  fc.assert(
    fc.property(noise, noise, sizes, (before, behind, sizes) => {
      const stream = Uint8Array.from([...before, ...REPLY, ...behind]);
      let state: Transaction = awaiting;
      const told: string[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        const input = { i: 'bytes', bytes: stream.subarray(at, at + size) } as const;
        const { next, effects } = stepTransaction(state, input, monoMs(turn), TIMING);
        state = next;
        told.push(...effects.filter(({ e }) => e === 'settle').map(printEffect));
        at += size;
      }
      expect(told).toEqual(['settle 7 8']);
    }),
  );
});
