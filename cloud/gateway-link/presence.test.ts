import { expect, it } from 'vitest';
import { stepPresence, type KnownPresence, type PresenceChange } from './presence.ts';

const A = 'aaaaaaaaaaaaaaaa';
const B = 'bbbbbbbbbbbbbbbb';
const KNOWN: [string, KnownPresence | null][] = [
  ['nothing known', null],
  [
    'A online since 100',
    { online: true, session: A, gateway: 'g1', since: 100, seen_at: 100, clean: null },
  ],
  [
    'A offline since 100',
    { online: false, session: A, gateway: 'g1', since: 100, seen_at: 100, clean: false },
  ],
];
const birth = (session: string, seen_at: number): PresenceChange => ({
  gateway: 'g2',
  seen_at,
  presence: {
    state: 'online',
    session,
    at: seen_at,
    software: '1',
    key_set_version: 0,
    status_list_version: 0,
  },
});
const death = (session: string, seen_at: number, clean: boolean): PresenceChange => ({
  gateway: 'g2',
  seen_at,
  presence: { state: 'offline', session, clean },
});
const CHANGES: [string, PresenceChange][] = [
  ['birth A, later', birth(A, 200)],
  ['birth A, earlier', birth(A, 50)],
  ['birth B, later', birth(B, 200)],
  ['birth B, earlier', birth(B, 50)],
  ['will A, later', death(A, 200, false)],
  ['will A, earlier', death(A, 50, false)],
  ['goodbye A, later', death(A, 200, true)],
  ['will B, later', death(B, 200, false)],
];

it('is as the reviewed table says, for each known state and each change', async () => {
  const lines = KNOWN.flatMap(([state, known]) =>
    CHANGES.map(([name, change]) => {
      const step = stepPresence(known, change);
      if (!step.take) return `${state} + ${name} -> ignored: ${step.why}`;
      const { online, session, gateway, since, clean } = step.next;
      return `${state} + ${name} -> ${session.charAt(0).toUpperCase()} ${online ? 'online' : 'offline'} since ${since} at ${gateway} clean=${clean}`;
    }),
  );
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('presence.table.txt');
});
