import { parseConfig } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { describe, expect, test } from 'vitest';
import { AGENT_DEFAULTS } from './agent.ts';
import { agentSettings, EdgeConfig, SAMPLE_CONFIG } from './config.ts';

const parse = (change: object) =>
  parseConfig(EdgeConfig, JSON.stringify({ ...SAMPLE_CONFIG, ...change }), 'test');

function problem(change: object): string {
  try {
    parse(change);
    return 'accepted';
  } catch (error) {
    if (!isFault(error, 'CONFIG_INVALID')) throw error;
    return `${error.facts['field']}: ${error.facts['problem']}`;
  }
}

describe('edge configuration', () => {
  test('the sample is the plainest station', () => {
    expect(agentSettings(parse({}))).toEqual(AGENT_DEFAULTS);
  });

  test('what --print-config prints is a configuration again', () => {
    const week = Array.from({ length: 7 }, () => [{ from: '08:00', until: '22:00' }]);
    const config = parse({ opening: { hours: 'weekly', week } });
    expect(parseConfig(EdgeConfig, JSON.stringify(config), 'test')).toEqual(config);
  });

  test('opening hours may pass midnight', () => {
    const day = [
      { from: '20:00', until: '06:00' },
      { from: '06:00', until: '24:00' },
    ];
    const week = [day, [], [], [], [], [], []];
    const { opening } = agentSettings(parse({ opening: { hours: 'weekly', week } })).door.access;
    expect(opening).toMatchObject({
      week: [
        [
          { from_minute: 1200, until_minute: 1800 },
          { from_minute: 360, until_minute: 1440 },
        ],
        ...Array.from({ length: 6 }, () => []),
      ],
    });
  });

  test.each([
    [{ station: '370102001W0001A' }, /^station: not a station code/],
    [{ gateway: { url: 'http://x', password_file: 'p' } }, /^gateway\.url: expected mqtt/],
    [
      { gateway: { url: 'mqtt://user:word@x', password_file: 'p' } },
      /^gateway\.url: .*without credentials/,
    ],
    [
      { gateway: { url: 'mqtts://x:1', password_file: 'p', cert_file: 'c' } },
      /^gateway\.key_file: cert_file and key_file/,
    ],
    [{ field_bus: { path: '/dev/x', baud: 1200 } }, /^field_bus\.baud/],
    [{ door: { release_ms: 90_000 } }, /^door\.release_ms/],
    [{ door: { release_ms: 1_050 } }, /^door\.release_ms/],
    [{ door: { pre_alarm_ms: 60_000 } }, /^door\.pre_alarm_ms: must be shorter than held_open_ms/],
    [{ door: { relese_ms: 5_000 } }, /^door\.relese_ms/],
    [{ room: { session_ms: 3_600_000, welfare_ms: 60_000 } }, /^room\.welfare_ms: must be longer/],
    [{ opening: { hours: 'weekly', week: [] } }, /^opening\.week/],
    [
      {
        opening: {
          hours: 'weekly',
          week: Array.from({ length: 7 }, () => [{ from: '8:00', until: '22:00' }]),
        },
      },
      /^opening\.week\.0\.0\.from: expected a time/,
    ],
    [{ report: { interval_min_ms: 120_000 } }, /^report\.interval_min_ms: must not be longer/],
    [{ outbox: { disk_budget_bytes: 10 } }, /^outbox\.disk_budget_bytes/],
    [{ http: { port: 70_000 } }, /^http\.port/],
    [{ log_level: 'loud' }, /^log_level/],
    [{ password: 'secret' }, /^password/],
  ])('refuses %j and names the field', (change, expected) => {
    expect(problem(change)).toMatch(expected);
  });
});
