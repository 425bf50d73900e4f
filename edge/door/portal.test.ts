import { type MonoMs, monoMs } from '@waystation/runtime/clock';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Contacts,
  newPortal,
  type Portal,
  type PortalEffect,
  type PortalInput,
  portalDeadline,
  stepPortal,
  wantsRelease,
} from './portal.ts';
import { PORTAL_DEFAULTS } from './portal-settings.ts';

const SETTINGS = PORTAL_DEFAULTS;
const CALM: Contacts = {
  door_open: false,
  lock_engaged: true,
  egress_pressed: false,
  smoke: false,
  mains_present: true,
};

interface Walk {
  portal: Portal;
  now: MonoMs;
  effects: PortalEffect[];
}

/** A move of the walk: an input, contacts that change, or time that passes with ticks at the machine's own deadlines. */
type Move = PortalInput | { change: Partial<Contacts> } | { pass_ms: number };

function apply(walk: Walk, input: PortalInput): Walk {
  const { portal, effects } = stepPortal(walk.portal, input, walk.now, SETTINGS);
  return { portal, now: walk.now, effects: [...walk.effects, ...effects] };
}

function move(walk: Walk, move: Move): Walk {
  if ('i' in move) return apply(walk, move);
  if ('change' in move) {
    const contacts = { ...(walk.portal.contacts ?? CALM), ...move.change };
    return apply(walk, { i: 'contacts', contacts });
  }
  const end = monoMs(walk.now + move.pass_ms);
  let passing = walk;
  for (;;) {
    const due = portalDeadline(passing.portal, passing.now, SETTINGS);
    if (due === null || due > end) return { ...passing, now: end };
    passing = apply({ ...passing, now: due }, { i: 'tick' });
  }
}

const walkTo = (...moves: Move[]): Walk => {
  const start: Walk = { portal: newPortal('normal'), now: monoMs(1_000_000), effects: [] };
  return { ...moves.reduce(move, start), effects: [] };
};

const SETTLES: Move = { pass_ms: SETTINGS.contact_debounce_ms };
const HEARD: Move = { change: {} };
const QUIET: Move = { pass_ms: 60_000 };
const FREES: Move = { change: { lock_engaged: false } };
const OPENS: Move[] = [{ change: { door_open: true } }, SETTLES];
const CLOSES: Move[] = [{ change: { door_open: false } }, SETTLES];
const GRANTED: Move[] = [{ i: 'grant' }, FREES];
const ENTERED: Move[] = [...GRANTED, ...OPENS, { change: { lock_engaged: true } }];

/** Reached by living through it, never built by hand. */
const STATES: Record<string, Walk> = {
  'unheard         ': walkTo(),
  'secured         ': walkTo(HEARD, QUIET),
  'secured lockdown': walkTo(HEARD, QUIET, { i: 'mode', mode: 'lockdown' }),
  'secured maintain': walkTo(HEARD, QUIET, { i: 'mode', mode: 'maintenance' }),
  'released grant  ': walkTo(HEARD, QUIET, ...GRANTED, { pass_ms: 1_000 }),
  'released egress ': walkTo(HEARD, QUIET, { change: { egress_pressed: true } }, FREES, {
    change: { egress_pressed: false },
  }),
  'released smoke  ': walkTo(HEARD, QUIET, { change: { smoke: true } }, FREES, QUIET),
  'released free   ': walkTo(HEARD, QUIET, { i: 'mode', mode: 'freeAccess' }, FREES, QUIET),
  'open            ': walkTo(HEARD, QUIET, ...ENTERED),
  'open free       ': walkTo(
    HEARD,
    QUIET,
    { i: 'mode', mode: 'freeAccess' },
    FREES,
    ...OPENS,
    QUIET,
    QUIET,
  ),
  'open pre-alarm  ': walkTo(HEARD, QUIET, ...ENTERED, { pass_ms: 50_000 }),
  'heldOpen        ': walkTo(HEARD, QUIET, ...ENTERED, QUIET),
  'forcedOpen      ': walkTo(HEARD, QUIET, ...OPENS),
  'catching        ': walkTo(
    HEARD,
    QUIET,
    ...ENTERED,
    { change: { lock_engaged: false } },
    ...CLOSES,
  ),
  'fault stuck shut': walkTo(HEARD, QUIET, { i: 'grant' }, { pass_ms: 3_000 }),
  'fault stuck free': walkTo(HEARD, QUIET, FREES, { pass_ms: 3_000 }),
  'fault no answer ': walkTo(
    HEARD,
    QUIET,
    { i: 'grant' },
    { i: 'commandFailed', command: 'release' },
  ),
  'fault bus lost  ': walkTo(HEARD, QUIET, { i: 'busLost' }),
};

const INPUTS: Record<string, Move[]> = {
  grant: [{ i: 'grant' }],
  'door opens': OPENS,
  'door opens and shuts again at once': [
    { change: { door_open: true } },
    { pass_ms: 100 },
    { change: { door_open: false } },
    SETTLES,
  ],
  'door closes': CLOSES,
  'bolt thrown': [{ change: { lock_engaged: true } }],
  'bolt drawn': [{ change: { lock_engaged: false } }],
  'egress pressed': [{ change: { egress_pressed: true } }],
  'egress let go': [{ change: { egress_pressed: false } }],
  'egress pressed and door opens': [{ change: { egress_pressed: true, door_open: true } }, SETTLES],
  smoke: [{ change: { smoke: true } }],
  'smoke clears': [{ change: { smoke: false } }],
  'mains lost, lock falls open': [{ change: { mains_present: false, lock_engaged: false } }],
  'bus lost': [{ i: 'busLost' }],
  'mode normal': [{ i: 'mode', mode: 'normal' }],
  'mode freeAccess': [{ i: 'mode', mode: 'freeAccess' }],
  'mode lockdown': [{ i: 'mode', mode: 'lockdown' }],
  'mode maintenance': [{ i: 'mode', mode: 'maintenance' }],
  'release confirmed': [{ i: 'commandDone', command: 'release' }],
  'release failed': [{ i: 'commandFailed', command: 'release' }],
  'engage confirmed': [{ i: 'commandDone', command: 'engage' }],
  'engage failed': [{ i: 'commandFailed', command: 'engage' }],
  '10 s pass': [{ pass_ms: 10_000 }],
  '60 s pass': [{ pass_ms: 60_000 }],
};

function describeEffect(effect: PortalEffect): string {
  switch (effect.e) {
    case 'record':
      return `record(${effect.from}>${effect.to} ${effect.cause})`;
    case 'sounder':
      return effect.on ? 'sounder on' : 'sounder off';
    case 'release':
    case 'engage':
      return effect.e;
    default:
      return effect satisfies never;
  }
}

describe('portal', () => {
  test('every state and input, as reviewed', async () => {
    const lines = Object.entries(STATES).flatMap(([state, walk]) => [
      `${state}   (${walk.portal.state}, lock ${walk.portal.commanded})`,
      ...Object.entries(INPUTS).map(([input, moves]) => {
        const { portal, effects } = moves.reduce(move, walk);
        const done = effects.map(describeEffect).join(', ') || '-';
        const where = portal.state === walk.portal.state ? '=' : portal.state;
        return `  ${input.padEnd(36)} ${where.padEnd(11)} ${portal.commanded.padEnd(8)} ${done}`;
      }),
      '',
    ]);
    await expect(lines.join('\n')).toMatchFileSnapshot('portal.table.txt');
  });

  test('a second grant while released extends the release', () => {
    const second = [...GRANTED, { pass_ms: 4_000 }, { i: 'grant' } as const, { pass_ms: 4_000 }];
    const { portal } = second.reduce(move, walkTo(HEARD, QUIET));
    expect(portal.state).toBe('released');
  });

  test('a grant while the door is open keeps the lock released for whoever it was for, and starts the patience anew', () => {
    const open = walkTo(HEARD, QUIET, ...ENTERED, { pass_ms: 44_000 });
    const granted = move(open, { i: 'grant' });
    expect(granted.effects.map(describeEffect)).toEqual(['release']);
    const later = [{ pass_ms: 3_000 }, ...CLOSES].reduce(move, granted);
    expect([later.portal.state, later.portal.commanded]).toEqual(['released', 'release']);
    expect(move(granted, { pass_ms: 44_000 }).portal.sounding).toBe(false);
  });

  test('a release that must last is said again before the controller drops it', () => {
    const { effects } = move(walkTo(HEARD, QUIET, { change: { smoke: true } }, FREES), QUIET);
    const said = effects.filter((effect) => effect.e === 'release').length;
    expect(said).toBeGreaterThanOrEqual(60_000 / SETTINGS.release_ms);
  });

  test('opening counts from when the contact moved: force in the last instant of a release is no force', () => {
    const edge = walkTo(HEARD, QUIET, ...GRANTED, { pass_ms: SETTINGS.release_ms - 50 });
    const { portal } = [...OPENS, { pass_ms: 5_000 }].reduce(move, edge);
    expect(portal.state).toBe('open');
  });
});

const contact = fc.record({
  door_open: fc.boolean(),
  lock_engaged: fc.boolean(),
  egress_pressed: fc.boolean(),
  smoke: fc.boolean(),
  mains_present: fc.boolean(),
});
const command = fc.constantFrom('release' as const, 'engage' as const);
const anyMove: fc.Arbitrary<Move> = fc.oneof(
  contact.map((change) => ({ change })),
  contact.map(({ door_open }) => ({ change: { door_open } })),
  contact.map(({ egress_pressed }) => ({ change: { egress_pressed } })),
  fc.constantFrom<Move>({ i: 'grant' }, { i: 'busLost' }, { i: 'tick' }),
  fc
    .constantFrom('normal', 'freeAccess', 'lockdown', 'maintenance')
    .map((mode): Move => ({ i: 'mode', mode })),
  command.map((command): Move => ({ i: 'commandDone', command })),
  command.map((command): Move => ({ i: 'commandFailed', command })),
  fc.integer({ min: 0, max: 70_000 }).map((pass_ms) => ({ pass_ms })),
);

describe('portal, from every reachable state', () => {
  const anyWalk = fc.array(anyMove, { maxLength: 40 }).map((moves) => walkTo(...moves));
  const heard = (walk: Walk) => move(walk, { change: { egress_pressed: false, smoke: false } });

  test('the exit button and smoke leave the lock released by us, whatever came before', () => {
    let met = 0;
    fc.assert(
      fc.property(
        anyWalk,
        fc.constantFrom('egress_pressed' as const, 'smoke' as const),
        (walk, what) => {
          const calm = { ...heard(walk), effects: [] };
          const { portal, effects } = move(calm, { change: { [what]: true } });
          expect(portal.commanded).toBe('release');
          expect(effects.map((effect) => effect.e)).toContain('release');
          const later = move({ portal, now: calm.now, effects: [] }, { pass_ms: 30_000 });
          expect(later.portal.commanded).toBe('release');
          met += 1;
        },
      ),
      { numRuns: 2_000 },
    );
    expect(met).toBe(2_000);
  });

  test('what was last told to the lock is what the machine believes it told', () => {
    fc.assert(
      fc.property(fc.array(anyMove, { maxLength: 40 }), (moves) => {
        let walk = walkTo(HEARD);
        let told = 'engage';
        for (const next of moves) {
          walk = move({ ...walk, effects: [] }, next);
          for (const { e } of walk.effects) if (e === 'release' || e === 'engage') told = e;
          if (walk.portal.contacts !== null) expect(told).toBe(walk.portal.commanded);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('left alone, the lock ends engaged, except for smoke and free access', () => {
    fc.assert(
      fc.property(anyWalk, (walk) => {
        const { portal, now } = move(heard(walk), QUIET);
        expect(wantsRelease(portal, now)).toBe(portal.mode === 'freeAccess');
      }),
      { numRuns: 2_000 },
    );
  });

  test('records form one chain: each begins where the one before ended', () => {
    fc.assert(
      fc.property(fc.array(anyMove, { maxLength: 60 }), (moves) => {
        const start: Walk = { portal: newPortal('normal'), now: monoMs(0), effects: [] };
        let state = start.portal.state;
        for (const effect of moves.reduce(move, start).effects) {
          if (effect.e !== 'record') continue;
          expect(effect.from).toBe(state);
          expect(effect.to).not.toBe(state);
          state = effect.to;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
