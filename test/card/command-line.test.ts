/** Keys, card and code by hand: what the command line prints opens a door. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCards } from '@waystation/cloud/cards/command-line';
import { openCardKeys } from '@waystation/cloud/cards/key-store';
import { publishStatusList } from '@waystation/cloud/cards/status-publisher';
import { createReplayGuard, memoryReplayTable } from '@waystation/edge/card/replay-guard';
import { readRootKeys } from '@waystation/edge/card/root-keys';
import { createTrustStore } from '@waystation/edge/card/trust-store';
import { createCardVerifier } from '@waystation/edge/card/verifier';
import { epochMs } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DAY_S, NOW_S, STATION } from './world.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'waystation-cards-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const run = (...argv: string[]) => runCards(argv, NOW_S);
const keys = () => ['--keys', join(directory, 'keys')];
const holder = () => ['--holder', join(directory, 'holder.pem')];

test('init, issue, present: the printed line opens the station that pins the printed roots', () => {
  run('init', ...keys());
  const issued = JSON.parse(
    run('issue', ...keys(), ...holder(), '--index', '7', '--org', '9', '--rights', 'hall,momsRoom'),
  );
  expect(statSync(join(directory, 'holder.pem')).mode & 0o777).toBe(0o600);
  const line = run(
    'present',
    ...holder(),
    '--card',
    issued.card,
    '--sequence',
    '1',
    '--station',
    STATION,
  );

  expect(run('root-public', ...keys())).toBe(
    readFileSync(join(directory, 'keys/root-public.json'), 'utf8'),
  );
  const roots = readRootKeys(join(directory, 'keys/root-public.json'));
  const trust = createTrustStore({ directory: join(directory, 'trust'), roots, log: silentLog });
  const store = openCardKeys(join(directory, 'keys'), NOW_S);
  trust.applyKeySet(store.keySet().body);
  trust.applyStatusList(
    publishStatusList(store.signingKey('statusList', NOW_S), new Uint8Array(64), 1, NOW_S),
  );
  const replay = createReplayGuard(memoryReplayTable());
  const verifier = createCardVerifier({ station: STATION, trust, replay, lastSynced: () => null });
  const now = { wall: epochMs(NOW_S * 1000), clock: 'synced' as const };
  expect(verifier.verify(Buffer.from(line.trimEnd()), now)).toEqual({
    verdict: 'valid',
    card: 7,
    org: 9,
    rights: 0b101,
    issued_at_s: NOW_S,
    sequence: 1,
  });
  expect(issued.expires_at_s).toBe(NOW_S + 35 * DAY_S);
});

test('rotate publishes ahead, --now signs at once, --withdraw takes back', () => {
  const kids = (text: string) =>
    [...text.matchAll(/^([0-9a-f]{8}) +card /gm)].map((match) => match[1]);
  const signing = () => openCardKeys(join(directory, 'keys'), NOW_S).signingKey('card', NOW_S).kid;
  const [first = ''] = kids(run('init', ...keys()));
  expect(kids(run('rotate', ...keys()))).toHaveLength(3); // the next one was there already
  expect(signing()).toBe(first);
  const third = kids(run('rotate', ...keys(), '--now')).at(-1);
  expect(signing()).toBe(third);
  const after = kids(run('rotate', ...keys(), '--withdraw', third ?? ''));
  expect(after).not.toContain(third);
  expect(signing()).toBe(after.at(-1));
});

test.each([
  [['fly'], /USAGE.*name one of/],
  [['init'], /USAGE.*--keys/],
  [['init', '--colour', 'red'], /USAGE/],
  [['rotate', '--keys', 'DIR', '--withdraw', '00000000'], /USAGE.*--withdraw/],
  [
    [
      'issue',
      '--keys',
      'DIR',
      '--holder',
      'DIR/h.pem',
      '--index',
      '-1',
      '--org',
      '1',
      '--rights',
      'hall',
    ],
    /USAGE/,
  ],
  [
    [
      'issue',
      '--keys',
      'DIR',
      '--holder',
      'DIR/h.pem',
      '--index',
      '1',
      '--org',
      '1',
      '--rights',
      'roof',
    ],
    /--rights.*roof/,
  ],
  [
    [
      'issue',
      '--keys',
      'DIR',
      '--holder',
      'DIR/h.pem',
      '--index',
      '9999999999',
      '--org',
      '1',
      '--rights',
      'hall',
    ],
    /CARD_INVALID/,
  ],
  [['present', '--holder', 'DIR/none.pem', '--card', 'AA==', '--sequence', '1'], /--holder/],
])('%j is refused with the field at fault', (argv, problem) => {
  const here = argv.map((word) => word.replace('DIR', directory));
  expect(() => run(...here)).toThrow(problem);
});

test('as a process: help on standard output, faults with their next step on standard error', () => {
  const main = fileURLToPath(import.meta.resolve('@waystation/cloud/cards/main'));
  expect(execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' })).toContain(
    'root-public',
  );
  const failed = spawnSync(process.execPath, [main, 'fly'], { encoding: 'utf8' });
  expect(failed.status).toBe(1);
  expect(failed.stderr).toMatch(/^USAGE .*\nCall again with the arguments that --help lists\.\n$/);
  expect(failed.stdout).toBe('');
});
