import { expect, test } from 'vitest';
import type { PresenceReport } from '@waystation/protocol/gateway-link';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { createCounters } from './metrics.ts';
import { createPresenceReporter } from './presence-reporter.ts';
import type { PresenceInput } from './presence.ts';

const station = (number: number) => stationCode('370102001', 'W', number);
const session = (letter: string) => letter.repeat(16);
const birth = (letter: string): PresenceInput => ({
  input: 'published',
  presence: {
    state: 'online',
    session: session(letter),
    at: 1,
    software: '1.0',
    key_set_version: 1,
    status_list_version: 1,
  },
});
const death = (letter: string): PresenceInput => ({
  input: 'published',
  presence: { state: 'offline', session: session(letter), clean: false },
});

function subject(stations_max = 100) {
  const clock = fakeClock();
  const counters = createCounters();
  const reports: string[][] = [];
  const cloud = { away: false };
  const reporter = createPresenceReporter({
    gateway: 'g1',
    clock,
    random: () => 1,
    counters,
    stations_max,
    collect_ms: 200,
    pauses: { first_ms: 1_000, max_ms: 4_000 },
    async post({ changes }: PresenceReport) {
      if (cloud.away) throw new Error('away');
      reports.push(
        changes.map(
          ({ station: code, presence }) => `${Number(code.slice(10, 14))} ${presence.state}`,
        ),
      );
    },
  });
  return { clock, counters, reports, cloud, reporter };
}

test('changes are collected and told once', async () => {
  const { clock, reports, reporter } = subject();
  reporter.note(station(1), birth('a'));
  reporter.note(station(2), birth('b'));
  await clock.advance(199);
  expect(reports).toEqual([]);
  await clock.advance(10_000);
  expect(reports).toEqual([['1 online', '2 online']]);
  expect([reporter.online, reporter.unreported]).toEqual([2, 0]);
});

test('while the cloud is away only the latest of each station is kept, and told when it is back', async () => {
  const { clock, reports, reporter, cloud, counters } = subject();
  cloud.away = true;
  reporter.note(station(1), birth('a'));
  await clock.advance(1_000);
  reporter.note(station(1), death('a'));
  reporter.note(station(2), birth('b'));
  await clock.advance(3_000);
  expect(counters.presence_reports_failed).toBeGreaterThan(1);
  cloud.away = false;
  await clock.advance(4_000);
  expect(reports).toEqual([['1 offline', '2 online']]);
});

test('a late will of an older session changes nothing', async () => {
  const { clock, reports, reporter, counters } = subject();
  reporter.note(station(1), birth('a'));
  reporter.note(station(1), birth('b'));
  reporter.note(station(1), death('a'));
  reporter.note(station(1), { input: 'closed', session: session('a') });
  await clock.advance(1_000);
  expect(reports).toEqual([['1 online']]);
  expect(counters.presence_ignored).toBe(1);
});

test('after stop nobody is declared dead', async () => {
  const { clock, reports, reporter } = subject();
  reporter.note(station(1), birth('a'));
  await clock.advance(1_000);
  await reporter.stop();
  reporter.note(station(1), death('a'));
  reporter.note(station(1), { input: 'closed', session: session('a') });
  await clock.advance(10_000);
  expect(reports).toEqual([['1 online']]);
});

test('stop tells what was collected, and asks an absent cloud once only', async () => {
  const { reports, reporter, cloud, counters } = subject();
  reporter.note(station(1), birth('a'));
  await reporter.stop();
  expect(reports).toEqual([['1 online']]);
  const other = subject();
  other.cloud.away = true;
  other.reporter.note(station(1), birth('a'));
  await other.reporter.stop();
  expect([cloud.away, counters.presence_reports_failed]).toEqual([false, 0]);
  expect([other.counters.presence_reports_failed, other.reporter.unreported]).toEqual([1, 1]);
});

test('a change that comes while a report is under way is told after it', async () => {
  const { clock, reports, reporter, cloud } = subject();
  reporter.note(station(1), birth('a'));
  await clock.advance(200);
  reporter.note(station(1), death('a'));
  await clock.advance(1_000);
  expect(reports).toEqual([['1 online'], ['1 offline']]);
  expect(cloud.away).toBe(false);
});

test('more stations than the limit are counted, not kept', () => {
  const { reporter, counters } = subject(2);
  for (let number = 1; number <= 5; number += 1) reporter.note(station(number), birth('a'));
  expect([reporter.online, counters.presence_overflow]).toEqual([2, 3]);
});
