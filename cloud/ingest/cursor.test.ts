import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import {
  type CursorMessage,
  type CursorStep,
  EPOCHS_MAX,
  stepCursor,
  type StreamCursor,
  throughOf,
} from './cursor.ts';

const STATION = stationCode('370102001', 'W', 1);
const [OLD, NOW, NEW] = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb', 'cccccccccccc'] as const;

/** Chain hashes of the records `"1"`, `"2"`, … of an epoch; place 0 is the start. */
function chain(epoch: string, length: number, word = ''): string[] {
  const hashes = [chainStart(STATION, epoch)];
  for (let seq = 1; seq <= length; seq += 1)
    hashes.push(chainNext(hashes[seq - 1] ?? '', `"${word}${seq}"`));
  return hashes;
}

function message(
  epoch: string,
  first: number,
  count: number,
  more: Partial<CursorMessage> & { word?: string } = {},
): CursorMessage {
  const { word = '', ...rest } = more;
  const records = Array.from({ length: count }, (_, n) => ({
    span: 1,
    json: `"${word}${first + n}"`,
  }));
  return { epoch, first, previous_hash: chain(epoch, first, word)[first - 1], records, ...rest };
}

function cursor(stream: Stream, ...epochs: [string, number][]): StreamCursor {
  return {
    station: STATION,
    stream,
    epochs: epochs.map(([epoch, through], index) => ({
      epoch,
      generation: index + 1,
      through,
      last_hash: stream === 'event' ? (chain(epoch, through)[through] ?? null) : null,
    })),
  };
}

const INPUTS: Record<string, CursorMessage> = {
  'continues at 6': message(NOW, 6, 2),
  'overlaps 4-7': message(NOW, 4, 4),
  'ends where we are 4-5': message(NOW, 4, 2),
  'all old 2-3': message(NOW, 2, 2),
  'jumps to 8': message(NOW, 8, 1),
  'continues, other chain': message(NOW, 6, 2, { word: 'x' }),
  'overlaps, other chain': message(NOW, 4, 4, { word: 'x' }),
  'overlaps, rewritten last': message(NOW, 5, 2, {
    records: [
      { span: 1, json: '"x"' },
      { span: 1, json: '"6"' },
    ],
  }),
  'no chain hash': message(NOW, 6, 1, { previous_hash: undefined }),
  'numbers run out': message(NOW, 6, 1, { records: [{ span: Number.MAX_SAFE_INTEGER, json: '' }] }),
  'thinned across 4-13': message(NOW, 4, 1, { records: [{ span: 10, json: '' }] }),
  'new epoch from 1': message(NEW, 1, 2),
  'new epoch, foreign start': message(NEW, 1, 2, { previous_hash: chainStart(STATION, NOW) }),
  'new epoch from 3': message(NEW, 3, 1),
  'older epoch goes on': message(OLD, 3, 1),
  'older epoch again': message(OLD, 1, 1),
};

function print(step: CursorStep): string {
  const epochs =
    step.cursor.epochs
      .map((epoch) => `${epoch.epoch.slice(0, 1)}#${epoch.generation}:${epoch.through}`)
      .join(' ') || '-';
  const facts = [
    step.step === 'take' ? `skip ${step.skip} from ${step.first_seq}` : '',
    step.step === 'known' ? (step.verified ? 'verified' : 'unverified') : '',
    'suspicion' in step && step.suspicion
      ? `! ${step.suspicion.kind} at ${step.suspicion.seq}`
      : '',
  ].filter(Boolean);
  return [step.step, `[${epochs}]`, ...facts].join(' ');
}

describe('stepCursor', () => {
  it('meets every input in every state as reviewed', async () => {
    const lines: string[] = [];
    for (const stream of ['event', 'sample'] as const) {
      const states: Record<string, StreamCursor> = {
        nothing: cursor(stream),
        'b at 5': cursor(stream, [NOW, 5]),
        'b at 5 after a at 2': cursor(stream, [OLD, 2], [NOW, 5]),
      };
      for (const [state, from] of Object.entries(states)) {
        for (const [input, next] of Object.entries(INPUTS)) {
          lines.push(`${stream}: ${state} + ${input} -> ${print(stepCursor(from, next))}`);
        }
      }
    }
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('cursor.table.txt');
  });

  it('takes every sequence number once and in order, however an honest station cuts and repeats', () => {
    // Mostly around where the cursor stands: a first number far ahead meets nothing but gaps.
    const piece = fc.record({
      back: fc.integer({ min: -1, max: 6 }),
      count: fc.integer({ min: 1, max: 8 }),
    });
    const pieces = fc.array(piece, { minLength: 10, maxLength: 40 });
    let taken_in_all = 0;
    fc.assert(
      fc.property(pieces, (cuts) => {
        let held = cursor('event');
        const taken: number[] = [];
        for (const { back, count } of cuts) {
          const first = Math.max(1, throughOf(held, NOW) + 1 - back);
          const next = message(NOW, first, count);
          const step = stepCursor(held, next);
          if (step.step === 'take') {
            next.records.slice(step.skip).forEach((_, n) => taken.push(step.first_seq + n));
          }
          expect(['take', 'known', 'gap']).toContain(step.step);
          held = step.cursor;
          expect(throughOf(held, NOW)).toBe(taken.length);
        }
        expect(taken).toEqual(taken.map((_, index) => index + 1));
        taken_in_all += taken.length;
      }),
    );
    expect(taken_in_all).toBeGreaterThan(500);
  });

  it('refuses yet another epoch of a station that has begun too many', () => {
    const epochs = Array.from({ length: EPOCHS_MAX }, (_, n): [string, number] => [
      n.toString(16).padStart(12, '0'),
      1,
    ]);
    const full = cursor('sample', ...epochs);
    expect(stepCursor(full, message(NEW, 1, 1)).step).toBe('refused');
    expect(stepCursor(full, message('0000000003e7', 2, 1)).step).toBe('take');
  });

  it('never takes a record of another history', () => {
    const cut = fc.record({
      split: fc.integer({ min: 0, max: 9 }),
      first: fc.integer({ min: 1, max: 12 }),
      count: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(cut, ({ split, first, count }) => {
        const stored = cursor('event', [NOW, 10]);
        const json = (seq: number) => (seq <= split ? `"${seq}"` : `"other${seq}"`);
        const hashes = [chainStart(STATION, NOW)];
        for (let seq = 1; seq <= 24; seq += 1)
          hashes.push(chainNext(hashes[seq - 1] ?? '', json(seq)));
        const records = Array.from({ length: count }, (_, n) => ({
          span: 1,
          json: json(first + n),
        }));
        const step = stepCursor(stored, {
          epoch: NOW,
          first,
          previous_hash: hashes[first - 1],
          records,
        });
        expect(step.step).not.toBe('take');
        if (step.step === 'known') expect(step.verified).toBe(false);
      }),
    );
  });
});
