import { expect, it } from 'vitest';
import { NO_NEIGHBOURS, stepNeighbours } from './neighbours.ts';
import type { PeerRow } from './register.ts';

const KNOWN: [string, PeerRow[]][] = [
  ['nobody', []],
  ['B with g1', [{ id: 'B', alive: true, reaches: ['g1'] }]],
  ['B silent', [{ id: 'B', alive: false, reaches: ['g1'] }]],
];
const READ: [string, PeerRow[]][] = [
  ['nobody', []],
  ['B with g1', [{ id: 'B', alive: true, reaches: ['g1'] }]],
  ['B with g2', [{ id: 'B', alive: true, reaches: ['g2'] }]],
  ['B silent', [{ id: 'B', alive: false, reaches: ['g1'] }]],
  [
    'B silent, C with g1',
    [
      { id: 'B', alive: false, reaches: ['g1'] },
      { id: 'C', alive: true, reaches: ['g1'] },
    ],
  ],
];

it('is as the reviewed table says, for each known state and each reading of the register', async () => {
  const lines = KNOWN.flatMap(([state, before]) =>
    READ.map(([name, rows]) => {
      const known = stepNeighbours(NO_NEIGHBOURS, before).next;
      const { next, moved, died, came } = stepNeighbours(known, rows);
      const said = [
        died ? 'died' : '',
        came ? 'came' : '',
        ...moved.map((reach) => `moved ${reach}`),
      ];
      return `${state} + ${name} -> tells ${next.ids.join(',') || 'nobody'}, reaches ${[...next.reaches].join(',') || 'nothing'}: ${said.filter(Boolean).join(', ') || 'nothing new'}`;
    }),
  );
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('neighbours.table.txt');
});
