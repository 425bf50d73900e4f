import { expect, test } from 'vitest';
import { HELP, parseCommand } from './commands.ts';

test.each([
  ['scan WS1:A B ', { c: 'scan', text: 'WS1:A B ' }],
  ['scan  leading space', { c: 'scan', text: ' leading space' }],
  ['  fill   water 80 \r', { c: 'act', input: { do: 'fill', supply: 'water', to: 80 } }],
  ['fill cups', { c: 'act', input: { do: 'fill', supply: 'cups', to: 2000 } }],
  ['sos', { c: 'act', input: { do: 'sos', on: true } }],
  ['sos off', { c: 'act', input: { do: 'sos', on: false } }],
  ['wire doorOpen cut', { c: 'act', input: { do: 'wire', input: 'doorOpen', reads: false } }],
  [
    'sensor co2_ppm broken',
    { c: 'act', input: { do: 'sensor', measurement: 'co2_ppm', reads: 'absent' } },
  ],
  [
    'sensor temperature_cel -12.5',
    { c: 'act', input: { do: 'sensor', measurement: 'temperature_cel', reads: -12.5 } },
  ],
  ['fault crc 5', { c: 'fault', fault: 'crc', count: 5 }],
  ['fault none', { c: 'healthy' }],
  ['unplug reader', { c: 'plug', line: 'reader', in: false }],
  ['replug bus', { c: 'plug', line: 'bus', in: true }],
  ['people 3', { c: 'people', count: 3 }],
  ['lock stuck', { c: 'act', input: { do: 'lock', state: 'stuck' } }],
])('%s', (line, command) => {
  expect(parseCommand(line)).toEqual({ ok: true, command });
});

test.each([
  ['scan', 'scan: '],
  ['fill beer 5', 'fill: say what: water'],
  ['fill water 101', 'fill water: a whole number from 0 to 100'],
  ['fill water -1', 'fill water: a whole number from 0 to 100'],
  ['wire doorOpen', 'wire doorOpen: say cut, short or ok'],
  ['sensor co2_ppm', 'sensor co2_ppm: say broken, ok'],
  ['fault crc 0', 'fault crc: how many'],
  ['unplug', 'say which line'],
  ['people many', 'people: a whole number'],
  ['toString', 'unknown word "toString"'],
  ['', 'unknown word ""'],
])('"%s" is answered with what to write instead', (line, start) => {
  const parsed = parseCommand(line);
  expect(parsed).toEqual({ ok: false, problem: expect.stringContaining(start) });
});

test('help names every word that can be said', () => {
  const words = HELP.split('\n').map((line) => line.trim().split(/[ |]/)[0] ?? '');
  expect(words).toContain('scan');
  for (const word of words) {
    const parsed = parseCommand(word);
    expect(parsed.ok || !parsed.problem.startsWith('unknown'), word).toBe(true);
  }
});
