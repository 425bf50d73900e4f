import { expect, test } from 'vitest';
import { stepPresence, type PresenceInput, type PresenceState } from './presence.ts';

const A = 'aaaaaaaaaaaaaaaa';
const B = 'bbbbbbbbbbbbbbbb';
const birth = (session: string): PresenceInput => ({
  input: 'published',
  presence: {
    state: 'online',
    session,
    at: 1,
    software: '1.0',
    key_set_version: 1,
    status_list_version: 1,
  },
});
const death = (session: string, clean: boolean): PresenceInput => ({
  input: 'published',
  presence: { state: 'offline', session, clean },
});

const STATES: [string, PresenceState][] = [
  ['unknown', { name: 'unknown' }],
  ['online A', { name: 'online', session: A }],
  ['offline A', { name: 'offline', session: A }],
];
const INPUTS: [string, PresenceInput][] = [
  ['birth A', birth(A)],
  ['birth B', birth(B)],
  ['will A', death(A, false)],
  ['goodbye A', death(A, true)],
  ['will B', death(B, false)],
  ['connection of A closed', { input: 'closed', session: A }],
  ['connection of B closed', { input: 'closed', session: B }],
];

const short = (session: string) => session.charAt(0).toUpperCase();
const printState = (state: PresenceState) =>
  state.name === 'unknown' ? 'unknown' : `${state.name} ${short(state.session)}`;

test('every state and every input', async () => {
  const rows = STATES.flatMap(([name, state]) =>
    INPUTS.map(([input, event]) => {
      const step = stepPresence(state, event);
      const { report } = step;
      const told =
        report === null
          ? 'nothing'
          : `${report.state} ${short(report.session)}${report.state === 'offline' ? ` clean=${report.clean}` : ''}`;
      return `${name} + ${input} -> ${printState(step.state)}, tells ${told}`;
    }),
  );
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('presence.table.txt');
});
