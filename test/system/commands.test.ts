/** Opening a door from afar, and telling the truth about it: done, refused, too late, or nobody knows. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { systemClock } from '@waystation/runtime/clock';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import {
  CommandAnswer,
  Events,
  Started,
  startTestStack,
  Station,
  until,
  type TestStack,
} from './local-stack.ts';

const clock = systemClock();
const started = new Started();
let postgres: TestPostgres;
let system: TestStack;
beforeAll(async () => {
  postgres = started.add(await startPostgres());
  system = started.add(await startTestStack({ database: postgres.url, fleet_size: 1 }));
});
afterAll(async () => {
  await started.stop();
});

const order = (station: string, reason: string) =>
  system.post(`/stations/${station}/commands`, { kind: 'open', reason });
async function accepted(station: string, reason: string) {
  const { status, body } = await order(station, reason);
  expect(status, JSON.stringify(body)).toBe(202);
  return CommandAnswer.parse(body);
}
const read = async (id: string) => CommandAnswer.parse(await system.get(`/commands/${id}`));
const ended = (id: string, timeout_ms?: number) =>
  until(
    'the command ends',
    async () => {
      const command = await read(id);
      return ['sent', 'received'].includes(command.status) ? null : command;
    },
    timeout_ms,
  );
const events = async (code: string) =>
  Events.parse(await system.get(`/stations/${code}/events?limit=100`)).rows.toReversed();
/** What the station itself wrote of one command, oldest first. */
async function wordsOf(station: string, id: string): Promise<unknown[]> {
  return (await events(station))
    .filter(({ kind, summary }) => kind === 'command' && summary['id'] === id)
    .map(({ summary }) => summary['status']);
}
const openings = async (station: string) =>
  (await events(station)).filter(
    ({ kind, summary }) =>
      kind === 'access' && summary['method'] === 'remote' && summary['outcome'] === 'granted',
  ).length;
const station = async (code: string) => Station.parse(await system.get(`/stations/${code}`));
const lock = async () =>
  z.looseObject({ lock: z.string() }).parse(await (await system.demo()).ask({ do: 'status' })).lock;
/** Commands that the gateway has handed to stations. */
async function handedOver(): Promise<number> {
  const port = system.stack.processes.get('gateway')?.ready['http'];
  const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  return Number(
    text.match(/^waystation_gateway_commands_total\{result="sent"\} (\d+)$/m)?.[1] ?? 0,
  );
}

test('opens the door, and says so when the station said so', async () => {
  const began = clock.mono();
  const command = await accepted(DEMO_STATION, 'somebody stands outside');
  expect(['sent', 'received', 'succeeded']).toContain(command.status);
  expect(await ended(command.id)).toMatchObject({ status: 'succeeded', reason: null });
  const took_ms = clock.mono() - began;
  expect(await lock()).toBe('free');
  expect(await wordsOf(DEMO_STATION, command.id)).toEqual(['received', 'succeeded']);
  expect(await openings(DEMO_STATION)).toBe(1);
  console.log(`opened from afar and answered in ${Math.round(took_ms)} ms`);
});

/** An order that its station took to the grave; what became of it is asked last, since the cloud waits for half a minute. */
let lost: z.output<typeof CommandAnswer>;

test('an order that is heard too late expires, and the door stays shut', async () => {
  const fleet = system.stack.processes.get('fleet');
  const edge = system.stack.processes.get('demo-edge');
  const before = { opened: await openings(DEMO_STATION), handed: await handedOver() };
  fleet?.kill('SIGSTOP');
  lost = await accepted(system.fleet_codes[0] ?? '', 'lost on the way');
  edge?.kill('SIGSTOP');
  const late = await accepted(DEMO_STATION, 'heard too late');
  await until('both are handed over', async () => (await handedOver()) >= before.handed + 2);
  await system.kill('fleet');
  await until('the deadline is over', () => clock.wall() > late.deadline_at + 500);
  edge?.kill('SIGCONT');
  expect(await ended(late.id)).toMatchObject({ status: 'expired' });
  expect(await wordsOf(DEMO_STATION, late.id)).toEqual(['expired']);
  expect(await openings(DEMO_STATION)).toBe(before.opened);
  await system.stack.restart('fleet');
});

test('a station that is offline is not given an order at all', async () => {
  const before = await openings(DEMO_STATION);
  await system.kill('demo-edge');
  await until('the last will is heard', async () => !(await station(DEMO_STATION)).online);
  const { status, body } = await order(DEMO_STATION, 'nobody there');
  expect([status, body]).toMatchObject([409, { code: 'COMMAND_REFUSED' }]);
  await system.stack.restart('demo-edge');
  await until('it is back', async () => (await station(DEMO_STATION)).online);
  expect(await openings(DEMO_STATION)).toBe(before);
});

test('an order delivered twice is executed once', async () => {
  const edge = system.stack.processes.get('demo-edge');
  const before = { handed: await handedOver(), opened: await openings(DEMO_STATION) };
  edge?.kill('SIGSTOP');
  const command = await accepted(DEMO_STATION, 'once is enough');
  await until('it is handed over', async () => (await handedOver()) === before.handed + 1);
  // A cloud that starts again cannot know whether the station heard it, and sends it again.
  await system.kill('cloud');
  await system.stack.restart('cloud');
  // Orders go before keys: the next thing handed over is the order again.
  await until('it is handed over again', async () => (await handedOver()) >= before.handed + 2);
  edge?.kill('SIGCONT');
  expect(await ended(command.id)).toMatchObject({ status: 'succeeded' });
  expect(await wordsOf(DEMO_STATION, command.id)).toEqual(['received', 'succeeded']);
  expect(await openings(DEMO_STATION)).toBe(before.opened + 1);
});

test('nobody knows of an order that died with its station, and it opens nothing later', async () => {
  const [fleet_station = ''] = system.fleet_codes;
  await until('the station is back', async () => (await station(fleet_station)).online);
  expect(await ended(lost.id, 40_000)).toMatchObject({ status: 'unknown' });
  expect(await wordsOf(fleet_station, lost.id)).toEqual([]);
  expect(await openings(fleet_station)).toBe(0);
});
