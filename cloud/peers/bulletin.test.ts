import { expect, it } from 'vitest';
import { Bulletin, COLLECTED_MAX, createBulletinPad, LIST_MAX, NOTHING_NEW } from './bulletin.ts';

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);
const takeAll = (pad: ReturnType<typeof createBulletinPad>) => {
  const all: Bulletin[] = [];
  for (let next = pad.take(); next !== null; next = pad.take()) all.push(next);
  return all;
};

it('says a thing once, however often it happened, and nothing when nothing did', () => {
  const pad = createBulletinPad();
  expect(pad.take()).toBeNull();
  pad.add({ stations: [7, 8], commands: ['command-1'] });
  pad.add({ stations: [8, 9], trust: true });
  expect(takeAll(pad)).toEqual([
    { ...NOTHING_NEW, stations: [7, 8, 9], commands: ['command-1'], trust: true },
  ]);
  expect(pad.take()).toBeNull();
});

it('puts what does not fit into the next bulletin, in order; each passes the border', () => {
  const pad = createBulletinPad();
  pad.add({ stations: numbers(LIST_MAX * 2 + 1) });
  const told = takeAll(pad);
  expect(told.flatMap(({ stations }) => stations)).toEqual(numbers(LIST_MAX * 2 + 1));
  expect(told.map(({ stations }) => stations.length)).toEqual([LIST_MAX, LIST_MAX, 1]);
  for (const bulletin of told) expect(Bulletin.parse(bulletin)).toEqual(bulletin);
});

it('says everything when it is too much, counts it, and still passes orders on', () => {
  const pad = createBulletinPad();
  pad.add({ stations: numbers(COLLECTED_MAX), commands: ['command-1'] });
  pad.add({ stations: numbers(5), orders: ['order-1'] });
  expect(takeAll(pad)).toEqual([{ ...NOTHING_NEW, everything: true, orders: ['order-1'] }]);
  expect(pad.counts.overflows).toBe(1);
  pad.add({ stations: [1] });
  expect(takeAll(pad)).toEqual([{ ...NOTHING_NEW, stations: [1] }]);
});

it('stays within its limit while stations come again and again', () => {
  const pad = createBulletinPad();
  for (let batch = 0; batch < 100; batch += 1) pad.add({ stations: numbers(1000) });
  expect(takeAll(pad)).toEqual([{ ...NOTHING_NEW, stations: numbers(1000) }]);
  expect(pad.counts.overflows).toBe(0);
});

it('forgets what a failed write may have lost, and says so', () => {
  const pad = createBulletinPad();
  pad.add({ stations: [1] });
  pad.giveUp();
  expect(takeAll(pad)).toEqual([{ ...NOTHING_NEW, everything: true }]);
  pad.add({ stations: [1] });
  pad.clear();
  expect(pad.take()).toBeNull();
});
