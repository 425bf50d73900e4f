import { type MonoMs, monoMs } from '@waystation/runtime/clock';
import { describe, expect, test } from 'vitest';
import {
  newRoom,
  type Room,
  ROOM_DEFAULTS,
  type RoomContacts,
  roomDeadline,
  type RoomInput,
  stepRoom,
} from './room.ts';

type Move = RoomInput | { change: Partial<RoomContacts> } | { pass_ms: number };
interface Walk {
  room: Room;
  now: MonoMs;
  told: string[];
}
const EMPTY: RoomContacts = { door_open: false, bolted: false, presence: false };

function apply(walk: Walk, input: RoomInput): Walk {
  const { room, effects } = stepRoom(walk.room, input, walk.now, ROOM_DEFAULTS);
  return { room, now: walk.now, told: [...walk.told, ...effects.map(({ state }) => state)] };
}

function move(walk: Walk, move: Move): Walk {
  if ('i' in move) return apply(walk, move);
  if ('change' in move)
    return apply(walk, {
      i: 'contacts',
      contacts: { ...(walk.room.contacts ?? EMPTY), ...move.change },
    });
  const end = monoMs(walk.now + move.pass_ms);
  for (let passing = walk; ;) {
    const due = roomDeadline(passing.room, passing.now, ROOM_DEFAULTS);
    if (due === null || due > end) return { ...passing, now: end };
    passing = apply({ ...passing, now: due }, { i: 'tick' });
  }
}

const walkTo = (...moves: Move[]): Walk => {
  const now = monoMs(5_000_000);
  return { ...moves.reduce(move, { room: newRoom('free', now), now, told: [] }), told: [] };
};

const HEARD: Move = { change: {} };
const OPENS: Move = { change: { door_open: true } };
const CLOSES: Move = { change: { door_open: false } };
const COMES: Move = { change: { presence: true } };
const STILL: Move = { change: { presence: false } };
const BOLTS: Move = { change: { bolted: true } };
const UNBOLTS: Move = { change: { bolted: false } };
const ENTERS: Move[] = [HEARD, { i: 'grant' }, OPENS, COMES, CLOSES];
const minutes = (count: number): Move => ({ pass_ms: count * 60_000 });

const STATES: Record<string, Walk> = {
  free: walkTo(HEARD),
  'occupied, not yet entered': walkTo(HEARD, { i: 'grant' }),
  'occupied, inside': walkTo(...ENTERS),
  'occupied, sensor silent': walkTo(...ENTERS, STILL, minutes(3)),
  'occupied, door opened again': walkTo(...ENTERS, OPENS),
  'occupied, nobody came in': walkTo(
    HEARD,
    COMES,
    STILL,
    minutes(10),
    { i: 'grant' },
    OPENS,
    CLOSES,
  ),
  'occupied, unasked': walkTo(HEARD, COMES),
  bolted: walkTo(...ENTERS, BOLTS, STILL),
  overstay: walkTo(...ENTERS, BOLTS, minutes(31)),
  welfareCheck: walkTo(...ENTERS, BOLTS, minutes(46)),
};

const INPUTS: Record<string, Move[]> = {
  grant: [{ i: 'grant' }],
  'grant taken back': [{ i: 'refused' }],
  'door opens': [OPENS],
  'door closes': [CLOSES],
  'bolt thrown': [BOLTS],
  'bolt drawn': [UNBOLTS],
  presence: [COMES],
  stillness: [STILL],
  'leaves (opens, closes, still 30 s)': [UNBOLTS, OPENS, CLOSES, STILL, { pass_ms: 30_000 }],
  '20 s pass': [{ pass_ms: 20_000 }],
  '6 min pass': [minutes(6)],
  '1 h passes': [minutes(60)],
};

describe("mom's room", () => {
  test('every state and input, as reviewed', async () => {
    const lines = Object.entries(STATES).flatMap(([state, walk]) => [
      `${state}   (${walk.room.state})`,
      ...Object.entries(INPUTS).map(([input, moves]) => {
        const { room, told } = moves.reduce(move, walk);
        return `  ${input.padEnd(36)} ${(room.state === walk.room.state ? '=' : room.state).padEnd(13)} ${told.join(', ') || '-'}`;
      }),
      '',
    ]);
    await expect(lines.join('\n')).toMatchFileSnapshot('room.table.txt');
  });

  test('a mother who sits still for an hour without bolting is not taken for gone', () => {
    expect(move(walkTo(...ENTERS, STILL), minutes(60)).room.state).toBe('welfareCheck');
  });

  test('where no presence sensor ever worked, only leaving frees the room', () => {
    const inside = walkTo(HEARD, { i: 'grant' }, OPENS, CLOSES);
    expect(move(inside, minutes(20)).room.state).toBe('occupied');
    expect([OPENS, CLOSES, { pass_ms: 30_000 }].reduce(move, inside).room.state).toBe('free');
  });

  test('a restart keeps the room occupied until somebody was seen to leave', () => {
    const now = monoMs(0);
    const restarted: Walk = { room: newRoom('bolted', now), now, told: [] };
    const still = move(move(restarted, HEARD), minutes(20));
    expect(still.room.state).toBe('occupied');
    expect([OPENS, CLOSES, { pass_ms: 30_000 }].reduce(move, still).room.state).toBe('free');
  });

  test('somebody found inside at the start makes it occupied', () => {
    const now = monoMs(0);
    expect(move({ room: newRoom('free', now), now, told: [] }, BOLTS).told).toEqual(['bolted']);
  });
});
