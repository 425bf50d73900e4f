import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createWorld,
  DOOR_TIMING,
  lockIsEngaged,
  lockIsFree,
  stepWorld,
  SUPPLIES,
  SUPPLY_MAX,
  type World,
  type WorldInput,
} from './world.ts';

const TAKES = { water: 1, cups: 1, tissue: 1, medicine: 1 };
const STAY_MS = 20 * 60_000;
const enter: WorldInput = { do: 'enter', stay_ms: STAY_MS, takes: TAKES };

const after = (world: World, ...inputs: WorldInput[]): World =>
  inputs.reduce((now, input) => stepWorld(now, input, 0).world, world);

const hall = createWorld('W');
const occupied = after(hall, { do: 'people', count: 1, stay_ms: STAY_MS });
const STATES: Record<string, World> = {
  locked: hall,
  released: after(hall, { do: 'relay', on: true }),
  'egress pressed': after(hall, { do: 'egress' }),
  open: after(hall, { do: 'forceLeaf' }),
  'held open': after(hall, { do: 'forceLeaf' }, { do: 'hold', on: true }),
  'one inside': occupied,
  'bolted room': after(
    createWorld('M'),
    { do: 'people', count: 1, stay_ms: STAY_MS },
    { do: 'bolt', on: true },
  ),
  'bolted, released': after(
    createWorld('M'),
    { do: 'people', count: 1, stay_ms: STAY_MS },
    { do: 'bolt', on: true },
    { do: 'relay', on: true },
  ),
  'lock stuck': after(occupied, { do: 'lock', state: 'stuck' }),
  'lock broken': after(hall, { do: 'lock', state: 'broken' }),
  smoke: after(hall, { do: 'smoke', on: true }),
  'no power at all': { ...after(hall, { do: 'mains', on: false }), battery_percent: 0 },
};
const INPUTS: Record<string, WorldInput> = {
  'relay on': { do: 'relay', on: true },
  'relay off': { do: 'relay', on: false },
  enter,
  leave: { do: 'leave' },
  'let in': { do: 'letIn', stay_ms: STAY_MS, takes: TAKES },
  egress: { do: 'egress' },
  'open leaf': { do: 'openLeaf' },
  'close leaf': { do: 'closeLeaf' },
  'force leaf': { do: 'forceLeaf' },
  hold: { do: 'hold', on: true },
  bolt: { do: 'bolt', on: true },
  unbolt: { do: 'bolt', on: false },
  smoke: { do: 'smoke', on: true },
  'mains off': { do: 'mains', on: false },
  'lock stuck': { do: 'lock', state: 'stuck' },
};

function describe(world: World): string {
  const door = world.leaf_open ? (world.held ? 'held open' : 'open') : 'closed';
  const bolt = world.bolted ? ' bolted' : '';
  return `${door} ${lockIsFree(world) ? 'free' : 'locked'}${bolt} ${world.stays_ms.length} inside`;
}

test('every door state meets every input', async () => {
  const lines: string[] = [];
  for (const [state, world] of Object.entries(STATES)) {
    lines.push(`${state}: ${describe(world)}`);
    for (const [name, input] of Object.entries(INPUTS)) {
      const step = stepWorld(world, input, 0);
      const minute = stepWorld(step.world, { do: 'nothing' }, 60_000);
      const happened = step.happened.join(' ') || '-';
      lines.push(
        `  ${name.padEnd(11)} ${describe(step.world).padEnd(32)} ${happened.padEnd(20)} | a minute later ${describe(minute.world).padEnd(28)} ${minute.happened.join(' ')}`.trimEnd(),
      );
    }
  }
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('world.table.txt');
});

const anyInput: fc.Arbitrary<WorldInput> = fc.oneof(
  fc.constantFrom(...Object.values(INPUTS)),
  fc.record({
    do: fc.constant('fill' as const),
    supply: fc.constantFrom(...SUPPLIES),
    to: fc.integer({ min: -10, max: 3000 }),
  }),
  fc.record({
    do: fc.constant('people' as const),
    count: fc.integer({ min: 0, max: 600 }),
    stay_ms: fc.integer({ min: 1, max: STAY_MS }),
  }),
);
const anyStory = fc.array(fc.tuple(anyInput, fc.integer({ min: 0, max: 40_000 })), {
  maxLength: 12,
});
const tell = (start: World, story: [WorldInput, number][]): World =>
  story.reduce((world, [input, dt_ms]) => stepWorld(world, input, dt_ms).world, start);
const anyKind = fc.constantFrom('W' as const, 'M' as const);

test('time passed in pieces is time passed at once', () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(anyKind, anyStory, pieces, (kind, story, parts) => {
      const start = tell(createWorld(kind), story);
      const nothing: WorldInput = { do: 'nothing' };
      const in_pieces = tell(
        start,
        parts.map((part) => [nothing, part]),
      );
      const at_once = stepWorld(
        start,
        nothing,
        parts.reduce((sum, part) => sum + part, 0),
      ).world;
      for (const name of [
        'co2_ppm',
        'temperature_cel',
        'humidity_percent',
        'battery_percent',
      ] as const) {
        expect(in_pieces[name]).toBeCloseTo(at_once[name], 6);
      }
      const exact = { co2_ppm: 0, temperature_cel: 0, humidity_percent: 0, battery_percent: 0 };
      expect({ ...in_pieces, ...exact }).toEqual({ ...at_once, ...exact });
    }),
  );
});

test('whatever happens, the room stays possible', () => {
  fc.assert(
    fc.property(anyKind, anyStory, (kind, story) => {
      const world = tell(createWorld(kind), story);
      expect(lockIsEngaged(world) && (world.leaf_open || lockIsFree(world))).toBe(false);
      expect(world.held && !world.leaf_open && world.closer_ms > 0).toBe(false);
      for (const supply of SUPPLIES) {
        expect(world.supplies[supply]).toBeGreaterThanOrEqual(0);
        expect(world.supplies[supply]).toBeLessThanOrEqual(SUPPLY_MAX[supply]);
      }
      expect(world.stays_ms.length).toBeLessThanOrEqual(500);
      expect(world.stays_ms.every((stay) => stay > 0)).toBe(true);
    }),
  );
});

test('the egress button frees a working lock in every state', () => {
  fc.assert(
    fc.property(anyKind, anyStory, (kind, story) => {
      const world = after(
        tell(createWorld(kind), story),
        { do: 'lock', state: 'works' },
        { do: 'egress' },
      );
      expect(lockIsFree(world)).toBe(true);
    }),
  );
});

test('the controller drops the relay by itself', () => {
  const released = after(
    hall,
    { do: 'setReleaseTime', release_ms: 700 },
    { do: 'relay', on: true },
  );
  expect(lockIsFree(stepWorld(released, { do: 'nothing' }, 699).world)).toBe(true);
  const dropped = stepWorld(released, { do: 'nothing' }, 700);
  expect(lockIsFree(dropped.world)).toBe(false);
  expect(dropped.happened).toEqual(['relayDropped']);
});

test('a visit: in by the relay, water drunk, bolt thrown in a mom’s room, out by egress when the stay is over', () => {
  const room = after(createWorld('M'), { do: 'relay', on: true });
  const inside = stepWorld(room, enter, 1_000);
  expect(inside.happened).toEqual(['leafOpened', 'entered']);
  expect(inside.world.supplies.water).toBe(99);
  const story = stepWorld(
    inside.world,
    { do: 'nothing' },
    STAY_MS + DOOR_TIMING.egress_hold_ms + 10_000,
  );
  expect(story.happened).toEqual([
    'relayDropped',
    'leafClosed',
    'bolted',
    'unbolted',
    'left',
    'leafOpened',
    'leafClosed',
  ]);
  expect(story.world.bolted).toBe(false);
  expect(story.world.stays_ms).toEqual([]);
});

test('an outage drains the battery; without any power the door is free', () => {
  const dark = stepWorld(
    after(hall, { do: 'mains', on: false }),
    { do: 'nothing' },
    7.9 * 3_600_000,
  ).world;
  expect(dark.battery_percent).toBeCloseTo(1.25);
  expect(lockIsFree(dark)).toBe(false);
  expect(lockIsFree(stepWorld(dark, { do: 'nothing' }, 600_000).world)).toBe(true);
});
