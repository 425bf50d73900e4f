/**
 * Ten thousand days at the door, judged by physics: a leaf that leaves its frame while the bolt is in was forced,
 * any other was not. The oracle knows leaf, bolt, button and hand; it knows nothing of the portal's rules.
 */
import { type MonoMs, monoMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { expect, test } from 'vitest';
import { newPortal, portalDeadline, type PortalInput, stepPortal } from './portal.ts';
import { PORTAL_DEFAULTS } from './portal-settings.ts';

const POLL_MS = 100;
const STEP_MS = 10;
/** The exit button's own timer in the lock's wiring. */
const BUTTON_HOLDS_MS = 3_000;

interface World {
  now: number;
  random: () => number;
  leaf_open: boolean;
  bolt_in: boolean;
  /** Contacts rattle until then. */
  rattles_until: number;
  coil_released: boolean;
  coil_due: { at: number; released: boolean }[];
  button_until: number;
  button_pressed: boolean;
  throws_at: number | null;
  mains: boolean;
  feedback: 'honest' | 'broken';
  truth: { forced: number; openings: number };
}

/** The portal on this world: polls every 100 ms, commands that take effect 15 to 60 ms later. */
function bench(world: World) {
  let portal = newPortal('normal');
  const alarms: number[] = [];
  const feed = (input: PortalInput) => {
    const step = stepPortal(portal, input, monoMs(world.now), PORTAL_DEFAULTS);
    portal = step.portal;
    for (const effect of step.effects) {
      if (effect.e === 'record' && effect.to === 'forcedOpen') alarms.push(world.now);
      if (effect.e !== 'release' && effect.e !== 'engage') continue;
      world.coil_due.push({
        at: world.now + 15 + world.random() * 45,
        released: effect.e === 'release',
      });
      feed({ i: 'commandDone', command: effect.e });
    }
  };
  const tick = () => {
    moveBolt(world);
    const due: MonoMs | null = portalDeadline(portal, monoMs(world.now - STEP_MS), PORTAL_DEFAULTS);
    if (due !== null && due <= world.now) feed({ i: 'tick' });
    if (world.now % POLL_MS === 0) feed({ i: 'contacts', contacts: sense(world) });
  };
  const pass = (ms: number) => {
    for (let left = Math.round(ms / STEP_MS); left > 0; left -= 1) {
      world.now += STEP_MS;
      tick();
    }
  };
  return { feed, pass, alarms };
}

function moveBolt(world: World): void {
  while (world.coil_due[0] !== undefined && world.coil_due[0].at <= world.now) {
    world.coil_released = world.coil_due.shift()?.released ?? false;
  }
  if (world.button_pressed) world.button_until = world.now + BUTTON_HOLDS_MS;
  const released = world.coil_released || world.now < world.button_until || !world.mains;
  if (released || world.leaf_open) world.throws_at = null;
  else world.throws_at ??= world.now + 50 + world.random() * 700;
  if (released) world.bolt_in = false;
  else if (world.throws_at !== null && world.now >= world.throws_at) world.bolt_in = true;
}

function sense(world: World) {
  const rattle = world.now < world.rattles_until && world.random() < 0.4;
  return {
    door_open: world.leaf_open !== rattle,
    lock_engaged: world.feedback === 'honest' && world.bolt_in,
    egress_pressed: world.button_pressed,
    smoke: false,
    mains_present: world.mains,
  };
}

type Bench = ReturnType<typeof bench>;

function openLeaf(world: World): void {
  world.truth.openings += 1;
  if (world.bolt_in) world.truth.forced += 1;
  world.leaf_open = true;
  world.rattles_until = world.now + world.random() * 200;
}

/** A closer takes its time and lets the leaf bounce; sometimes it swings open again before the bolt catches. */
function closeLeaf(world: World, { pass }: Bench): void {
  world.leaf_open = false;
  world.rattles_until = world.now + world.random() * 250;
  pass(world.random() * 300);
  for (let bounces = world.random() * 3; bounces > 1 && !world.bolt_in; bounces -= 1) {
    openLeaf(world);
    pass(50 + world.random() * 900);
    world.leaf_open = false;
    pass(world.random() * 200);
  }
}

function press(world: World, { pass }: Bench): void {
  world.button_pressed = true;
  pass(150 + world.random() * 1_500);
  world.button_pressed = false;
}

const between = (world: World, least: number, most: number) =>
  least + world.random() * (most - least);

const EPISODES: Record<string, (world: World, bench: Bench) => void> = {
  visit(world, bench) {
    bench.feed({ i: 'grant' });
    bench.pass(between(world, 300, 4_500));
    if (!world.bolt_in) openLeaf(world);
    bench.pass(between(world, 800, 6_000));
    closeLeaf(world, bench);
  },
  unusedGrant(world, bench) {
    bench.feed({ i: 'grant' });
    bench.pass(between(world, 1_000, 9_000));
  },
  twoCards(world, bench) {
    bench.feed({ i: 'grant' });
    bench.pass(10);
    bench.feed({ i: 'grant' });
    bench.pass(between(world, 300, 2_000));
    openLeaf(world);
    bench.pass(between(world, 800, 6_000));
    closeLeaf(world, bench);
  },
  exit(world, bench) {
    press(world, bench);
    bench.pass(between(world, 0, 1_500));
    if (!world.bolt_in) openLeaf(world);
    bench.pass(between(world, 800, 5_000));
    closeLeaf(world, bench);
  },
  /** The second one goes while the button's release still holds, or just before the bolt catches. */
  doubleExit(world, bench) {
    press(world, bench);
    openLeaf(world);
    bench.pass(between(world, 700, 1_500));
    closeLeaf(world, bench);
    bench.pass(between(world, 0, 2_000));
    if (!world.bolt_in) {
      openLeaf(world);
      bench.pass(between(world, 800, 4_000));
      closeLeaf(world, bench);
    }
  },
  slowCloser(world, bench) {
    press(world, bench);
    openLeaf(world);
    bench.pass(between(world, 20_000, 90_000));
    closeLeaf(world, bench);
  },
  /** Wind and lorries: the contact flickers, the leaf does not move. */
  rattle(world, bench) {
    world.rattles_until = world.now + between(world, 50, 250);
    bench.pass(1_000);
  },
  powerCut(world, bench) {
    world.mains = false;
    bench.pass(between(world, 500, 5_000));
    openLeaf(world);
    bench.pass(between(world, 800, 4_000));
    closeLeaf(world, bench);
    bench.pass(1_000);
    world.mains = true;
  },
};

/** Nobody levers a door open within the second in which its bolt falls in: he would simply have walked in before. */
function awaitBolt(world: World, { pass }: Bench): void {
  for (let caught_ms = 0; caught_ms < 1_000; caught_ms += STEP_MS) {
    pass(STEP_MS);
    if (!world.bolt_in) caught_ms = 0;
  }
}

/** Half the forces break the frame, half push the bolt back first; some come with a dead feedback wire. */
function force(world: World, bench: Bench): void {
  const wire = world.random() < 0.2;
  if (wire) {
    world.feedback = 'broken';
    bench.pass(between(world, 0, 10_000));
  }
  openLeaf(world);
  if (world.random() < 0.5) world.bolt_in = false;
  bench.pass(between(world, 700, 8_000));
  closeLeaf(world, bench);
  bench.pass(3_000);
  world.feedback = 'honest';
}

test('10,000 door traces: every force is found, hardly anything else is called one', () => {
  const names = Object.keys(EPISODES);
  const seen: Record<string, number> = { force: 0 };
  let forced = 0;
  let found = 0;
  let calm_openings = 0;
  let false_alarms = 0;
  for (let seed = 1; seed <= 10_000; seed += 1) {
    const random = prng(seed);
    const world: World = {
      now: 0,
      random,
      leaf_open: false,
      bolt_in: true,
      rattles_until: 0,
      coil_released: false,
      coil_due: [],
      button_until: 0,
      button_pressed: false,
      throws_at: null,
      mains: true,
      feedback: 'honest',
      truth: { forced: 0, openings: 0 },
    };
    const door = bench(world);
    door.pass(500);
    for (let episodes = 1 + Math.floor(random() * 4); episodes > 0; episodes -= 1) {
      const before = { ...world.truth, alarms: door.alarms.length };
      const name =
        random() < 0.2 ? 'force' : (names[Math.floor(random() * names.length)] ?? 'visit');
      seen[name] = (seen[name] ?? 0) + 1;
      door.pass(2_500);
      if (name === 'force') awaitBolt(world, door);
      if (name === 'force') force(world, door);
      else EPISODES[name]?.(world, door);
      door.pass(between(world, 1_500, 12_000));
      const was_forced = world.truth.forced > before.forced;
      const alarmed = door.alarms.length > before.alarms;
      if (was_forced) forced += 1;
      if (was_forced && alarmed) found += 1;
      if (!was_forced) calm_openings += world.truth.openings - before.openings;
      if (!was_forced && alarmed) false_alarms += 1;
      if (was_forced && !alarmed)
        expect.fail(`seed=${seed}: a force was missed in ${name} at ${world.now} ms`);
    }
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(1_000);
  expect(forced).toBeGreaterThan(4_000);
  expect(found).toBe(forced);
  expect(false_alarms / calm_openings).toBeLessThanOrEqual(0.005);
});
