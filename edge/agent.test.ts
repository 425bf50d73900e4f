import { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { describe, expect, test } from 'vitest';
import { AGENT_DEFAULTS, createAgent } from './agent.ts';
import {
  type Diary,
  fakeIo,
  fakeOutbox,
  fakeReader,
  fakeStamp,
  fakeTable,
  fakeVerifier,
} from './fake-parts.ts';
import { noTransport, noTrust } from './fake-parts.ts';

const HALL = stationCode('370102001', 'W', 1);
const MEMBER = 'card 7 rights 1';

async function station(
  settings = AGENT_DEFAULTS,
  code = HALL,
  tables = { door: fakeTable(), orders: fakeTable() },
) {
  const clock = fakeClock();
  const diary: Diary = [];
  const quality = { now: 'synced' as const };
  const io = fakeIo(clock, diary);
  const reader = fakeReader(clock, diary);
  const outbox = fakeOutbox(clock, diary);
  const agent = createAgent({
    station: code,
    settings,
    io,
    reader,
    verifier: fakeVerifier(diary),
    trust: noTrust,
    outbox,
    transport: noTransport,
    tables,
    clock,
    stamp: fakeStamp(clock, quality),
    watchClock: () => ({ stop: () => undefined }),
    random: prng(1),
    log: silentLog,
    software: 'test',
  });
  agent.start();
  io.device('controller', true);
  io.set({});
  await clock.advance(5_000);
  diary.length = 0;
  return { agent, clock, io, reader, outbox, diary };
}

describe('agent', () => {
  test('opens for a valid card: remembered and on the disk before the coil, answered after it', async () => {
    const { clock, reader, diary, outbox } = await station();
    reader.scan(MEMBER);
    await clock.advance(100);
    expect(diary).toEqual([
      'accept 7',
      'record access card granted',
      'coil release',
      'record door secured released grant',
      'answer +',
    ]);
    await clock.advance(10_000);
    expect(diary.slice(5)).toEqual(['coil engage', 'record door released secured timeout']);
    for (const record of outbox.events) EventRecord.parse(record);
    for (const record of outbox.samples) SampleRecord.parse(record);
  });
});
