import { RIGHTS, type Denial } from '@waystation/protocol/access';
import { DOOR_MODES, ROOM_STATES } from '@waystation/protocol/records';
import { epochMs, monoMs } from '@waystation/runtime/clock';
import { describe, expect, test } from 'vitest';
import type { CardVerdict } from '../ports.ts';
import {
  type AccessPolicy,
  type AccessRequest,
  type AccessState,
  ATTEMPT_LIMIT,
  type Attempts,
  decideAccess,
  NO_ATTEMPTS,
} from './access.ts';
import { ALWAYS_OPEN, type OpeningPolicy } from './opening-policy.ts';

/** Tuesday 2026-06-02, 12:00 and 23:00 in Shandong. */
const NOON = epochMs(Date.UTC(2026, 5, 2, 4));
const NIGHT = epochMs(Date.UTC(2026, 5, 2, 15));
const DAYTIME: OpeningPolicy = {
  hours: 'weekly',
  week: Array.from({ length: 7 }, () => [{ from_minute: 8 * 60, until_minute: 22 * 60 }]),
};
const HALL: AccessPolicy = { kind: 'W', opening: DAYTIME, limit: ATTEMPT_LIMIT };
const ROOM: AccessPolicy = { kind: 'M', opening: ALWAYS_OPEN, limit: ATTEMPT_LIMIT };
const QUIET: AccessState = {
  mode: 'normal',
  room: null,
  controller_online: true,
  clock: 'synced',
  override: null,
  attempts: NO_ATTEMPTS,
};

function card(...rights: (keyof typeof RIGHTS)[]): AccessRequest {
  const bits = rights.reduce((sum, right) => sum | (1 << RIGHTS[right]), 0);
  const verdict: CardVerdict = {
    verdict: 'valid',
    card: 7,
    org: 37,
    rights: bits,
    issued_at_s: 1,
    sequence: 1,
  };
  return { method: 'card', verdict };
}
const refused = (denial: Denial): AccessRequest => ({
  method: 'card',
  verdict: { verdict: 'refused', denial },
});
const REMOTE: AccessRequest = { method: 'remote' };

function answer(
  policy: AccessPolicy,
  request: AccessRequest,
  state: Partial<AccessState> = {},
  wall = NOON,
): string {
  const { decision } = decideAccess(
    policy,
    request,
    { ...QUIET, ...state },
    { wall, mono: monoMs(1_000_000) },
  );
  return decision.outcome === 'granted' ? 'granted' : decision.denial;
}

describe('access', () => {
  test('who may enter when, as reviewed', async () => {
    const requests: Record<string, AccessRequest> = {
      'no right': card(),
      hall: card('hall'),
      'hall and night': card('hall', 'night'),
      momsRoom: card('momsRoom'),
      staff: card('staff'),
      revoked: refused('revoked'),
      remote: REMOTE,
    };
    const moments: [string, AccessPolicy, Partial<AccessState>, typeof NOON][] = [
      ...DOOR_MODES.map(
        (mode) =>
          [`hall, noon, ${mode}`, HALL, { mode }, NOON] as [
            string,
            AccessPolicy,
            Partial<AccessState>,
            typeof NOON,
          ],
      ),
      ['hall, 23:00', HALL, {}, NIGHT],
      [
        'hall, 23:00, heat alert',
        HALL,
        { override: { reason: 'heat', until_at: epochMs(NIGHT + 1) } },
        NIGHT,
      ],
      [
        'hall, 23:00, heat alert over',
        HALL,
        { override: { reason: 'heat', until_at: NIGHT } },
        NIGHT,
      ],
      ['hall, noon, clock unknown', HALL, { clock: 'unknown' }, NOON],
      ['hall, noon, clock holdover', HALL, { clock: 'holdover' }, NOON],
      ['hall, noon, controller lost', HALL, { controller_online: false }, NOON],
      ...ROOM_STATES.map(
        (room) =>
          [`mom's room, ${room}`, ROOM, { room }, NOON] as [
            string,
            AccessPolicy,
            Partial<AccessState>,
            typeof NOON,
          ],
      ),
    ];
    const lines = moments.flatMap(([when, policy, state, wall]) => [
      when,
      ...Object.entries(requests).map(
        ([who, request]) => `  ${who.padEnd(16)} ${answer(policy, request, state, wall)}`,
      ),
    ]);
    await expect(lines.join('\n')).toMatchFileSnapshot('access.table.txt');
  });

  test('nobody opens a room in use: every method, right and mode', () => {
    for (const mode of DOOR_MODES) {
      for (const room of ROOM_STATES.filter((state) => state !== 'free')) {
        for (const request of [
          card('momsRoom'),
          card('staff'),
          card('hall', 'night', 'momsRoom', 'staff'),
          REMOTE,
        ]) {
          expect(answer(ROOM, request, { mode, room })).not.toBe('granted');
        }
      }
    }
  });
});

describe('rate limit', () => {
  const fail = (attempts: Attempts, at_ms: number, denial: Denial = 'badHolderSignature') =>
    decideAccess(
      HALL,
      refused(denial),
      { ...QUIET, attempts },
      { wall: NOON, mono: monoMs(at_ms) },
    );
  const failTimes = (count: number, denial?: Denial) => {
    let attempts = NO_ATTEMPTS;
    for (let n = 0; n < count; n += 1)
      attempts = fail(attempts, 1_000_000 + n * 1_000, denial).attempts;
    return attempts;
  };
  const denialOf = ({ decision }: ReturnType<typeof fail>) =>
    decision.outcome === 'denied' ? decision.denial : 'granted';

  test('the sixth guess within the window waits 30 s', () => {
    const attempts = failTimes(5);
    expect(denialOf(fail(attempts, 1_005_000))).toBe('rateLimited');
    expect(denialOf(fail(attempts, 1_033_999))).toBe('rateLimited');
    expect(denialOf(fail(attempts, 1_034_000))).toBe('badHolderSignature');
  });

  test('five guesses spread over more than the window are no attack', () => {
    let attempts = NO_ATTEMPTS;
    for (let n = 0; n < 20; n += 1) attempts = fail(attempts, n * 7_600).attempts;
    expect(denialOf(fail(attempts, 20 * 7_600))).toBe('badHolderSignature');
  });

  test('an old code or a tilted phone never leads to a pause', () => {
    for (const denial of [
      'unreadable',
      'presentationStale',
      'presentationFuture',
      'cardExpired',
      'clockUnknown',
    ] as const) {
      expect(failTimes(50, denial)).toEqual(NO_ATTEMPTS);
    }
  });

  test('a valid card opens in the middle of a pause, and ends it', () => {
    const attempts = failTimes(5);
    const state = { ...QUIET, attempts };
    const opened = decideAccess(HALL, card('hall'), state, { wall: NOON, mono: monoMs(1_005_000) });
    expect(opened).toEqual({ decision: { outcome: 'granted' }, attempts: NO_ATTEMPTS });
  });

  test('the memory of failures is bounded', () => {
    let attempts = NO_ATTEMPTS;
    for (let n = 0; n < 1_000; n += 1) {
      attempts = fail(attempts, n).attempts;
      expect(attempts.failed_at.length).toBeLessThan(ATTEMPT_LIMIT.failures);
    }
  });
});
