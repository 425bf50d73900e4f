import { expect, test } from 'vitest';
import {
  COILS,
  decodeMeasurement,
  DISCRETE_INPUTS,
  INPUT_NAMES,
  MEASUREMENT_NAMES,
  MEASUREMENTS,
} from '@waystation/protocol/registers';
import { gaugeWord, readContact, unitBank } from './controller.ts';
import { createWorld, stepWorld, type World, type WorldInput } from './world.ts';

function benchRoom(start: World = createWorld('M')) {
  let world = start;
  return {
    look: () => world,
    act: (input: WorldInput) => {
      world = stepWorld(world, input, 0).world;
    },
  };
}

test('every contact follows its cause, and only it', () => {
  const causes: Record<string, WorldInput[]> = {
    doorOpen: [{ do: 'forceLeaf' }],
    lockEngaged: [],
    egressPressed: [{ do: 'egress' }],
    tamper: [{ do: 'tamper', on: true }],
    sosPressed: [{ do: 'sos', on: true }],
    privacyBolt: [{ do: 'bolt', on: true }],
    smoke: [{ do: 'smoke', on: true }],
    mainsPresent: [],
    presence: [{ do: 'people', count: 1, stay_ms: 1000 }],
  };
  const alwaysRelated = new Set(['lockEngaged', 'mainsPresent']);
  for (const input of INPUT_NAMES) {
    const room = benchRoom();
    for (const cause of causes[input] ?? []) room.act(cause);
    expect(readContact(room.look(), input), input).toBe(true);
    const others = INPUT_NAMES.filter((name) => name !== input && !alwaysRelated.has(name));
    for (const other of others)
      expect(readContact(room.look(), other), `${input} -> ${other}`).toBe(false);
  }
});

test('a cut wire reads open, a short reads closed, until mended', () => {
  const room = benchRoom();
  room.act({ do: 'wire', input: 'lockEngaged', reads: false });
  room.act({ do: 'wire', input: 'smoke', reads: true });
  expect(readContact(room.look(), 'lockEngaged')).toBe(false);
  expect(readContact(room.look(), 'smoke')).toBe(true);
  room.act({ do: 'wire', input: 'smoke', reads: 'ok' });
  expect(readContact(room.look(), 'smoke')).toBe(false);
});

test('every gauge: the word on the wire means the value shown, at both ends of its range', () => {
  for (const name of MEASUREMENT_NAMES) {
    const { min, max, scale, absent } = MEASUREMENTS[name];
    for (const value of [min, max === 65_535 ? 65_534 : max, min + scale]) {
      const room = benchRoom();
      room.act({ do: 'sensor', measurement: name, reads: value });
      const word = gaugeWord(room.look(), name);
      expect(word, name).not.toBe(absent);
      expect(decodeMeasurement(name, word), name).toEqual({
        quality: 'good',
        value: Number(value.toFixed(6)),
      });
    }
    const room = benchRoom();
    room.act({ do: 'sensor', measurement: name, reads: 'absent' });
    expect(decodeMeasurement(name, gaugeWord(room.look(), name)), name).toEqual({
      quality: 'absent',
    });
  }
});

test('minus five degrees is 0xFFCE', () => {
  const room = benchRoom();
  room.act({ do: 'sensor', measurement: 'temperature_cel', reads: -5 });
  expect(gaugeWord(room.look(), 'temperature_cel')).toBe(0xffce);
});

test('counters wrap before the word that means "not fitted"', () => {
  const world = { ...createWorld('W'), entries: 65_535, uptime_ms: 65_535_000 };
  expect(gaugeWord(world, 'entries_count')).toBe(0);
  expect(gaugeWord(world, 'uptime_s')).toBe(0);
});

test('coils and settings act on the room; addresses outside of the table do not exist', () => {
  const room = benchRoom();
  const told: boolean[] = [];
  const bank = unitBank('controller', room, (on) => told.push(on));
  expect(bank.writeHolding(0, 20)).toBeNull();
  expect(bank.readWord('holding', 0)).toBe(20);
  expect([bank.writeHolding(0, 0), bank.writeHolding(0, 601), bank.writeHolding(1, 5)]).toEqual([
    3, 3, 2,
  ]);
  expect(bank.writeCoil(COILS.lockRelease.address, true)).toBeNull();
  expect(room.look().relay_ms).toBe(2_000);
  expect(bank.readBit('coil', COILS.lockRelease.address)).toBe(true);
  expect(bank.writeCoil(COILS.lockRelease.address, false)).toBeNull();
  expect(bank.readBit('coil', COILS.lockRelease.address)).toBe(false);
  expect(told).toEqual([true, false]);
  expect(bank.writeCoil(9, true)).toBe(2);
  expect(bank.readBit('discrete', DISCRETE_INPUTS.presence.address)).toBe(false);
  expect([bank.readBit('discrete', 15), bank.readBit('discrete', 16)]).toEqual([false, null]);
  expect(unitBank('environment', room).readBit('discrete', 0)).toBeNull();
});
