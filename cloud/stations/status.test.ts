import { expect, it } from 'vitest';
import { DOOR_MODES, PORTAL_STATES, ROOM_STATES } from '@waystation/protocol/records';
import { epochMs } from '@waystation/runtime/clock';
import {
  OCCUPANCY_AGE_MAX_MS,
  RECORD_AGE_MAX_MS,
  stationStatus,
  type StatusFacts,
} from './status.ts';

const NOW = epochMs(1_780_000_000_000);
const QUIET: StatusFacts = {
  lifecycle: 'active',
  online: true,
  gateway_here: true,
  last_received_at: NOW - 1000,
  portal: 'secured',
  mode: 'normal',
  room: null,
  smoke: false,
  sos: false,
  tamper: false,
  presence: false,
  controller: true,
  occupancy: null,
};

/** Every value of every fact alone against the quiet station, then each in the company of each other. */
const CHANGES: [string, Partial<StatusFacts>][] = [
  ...(['planned', 'suspended', 'retired'] as const).map(
    (lifecycle): [string, Partial<StatusFacts>] => [`lifecycle ${lifecycle}`, { lifecycle }],
  ),
  ['never heard', { online: null }],
  ['offline', { online: false }],
  ['gateway away', { gateway_here: false }],
  ['no record yet', { last_received_at: null }],
  ['record just fresh', { last_received_at: NOW - RECORD_AGE_MAX_MS }],
  ['record too old', { last_received_at: NOW - RECORD_AGE_MAX_MS - 1 }],
  ...[...PORTAL_STATES.slice(1), null].map((portal): [string, Partial<StatusFacts>] => [
    `portal ${portal}`,
    { portal },
  ]),
  ...[...DOOR_MODES.slice(1), null].map((mode): [string, Partial<StatusFacts>] => [
    `mode ${mode}`,
    { mode },
  ]),
  ...ROOM_STATES.map((room): [string, Partial<StatusFacts>] => [`room ${room}`, { room }]),
  ['smoke', { smoke: true }],
  ['sos', { sos: true }],
  ['tamper', { tamper: true }],
  ['presence', { presence: true }],
  ['controller lost', { controller: false }],
  ['2 people', { occupancy: { value: 2, at: NOW } }],
  ['0 people', { occupancy: { value: 0, at: NOW } }],
  ['2 people long ago', { occupancy: { value: 2, at: NOW - OCCUPANCY_AGE_MAX_MS - 1 } }],
];

it('is as the reviewed table says, for each fact alone and each pair', async () => {
  const lines = [`quiet -> ${stationStatus(QUIET, NOW)}`];
  for (const [name, change] of CHANGES) {
    lines.push(`${name} -> ${stationStatus({ ...QUIET, ...change }, NOW)}`);
  }
  CHANGES.forEach(([first, one], i) => {
    for (const [second, other] of CHANGES.slice(i + 1)) {
      if (Object.keys(one).some((key) => key in other)) continue;
      lines.push(`${first} + ${second} -> ${stationStatus({ ...QUIET, ...one, ...other }, NOW)}`);
    }
  });
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('status.table.txt');
});
