import type { DoorMode } from '@waystation/protocol/records';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AGENT_DEFAULTS } from '../agent.ts';
import { fakeClock } from '@waystation/runtime/clock';
import { CALM, type FakeStation, fakeStation, fakeTable } from '../fake-parts.ts';

const MEMBER = 'card 7 rights 1';
const OTHER = 'card 8 rights 1';
const MOTHER = 'card 9 rights 4';
const CLEANER = 'card 10 rights 8';

const failing = (journal_failure: 'fail_open' | 'fail_closed') => ({
  settings: { ...AGENT_DEFAULTS, door: { ...AGENT_DEFAULTS.door, journal_failure } },
});

describe('door', () => {
  test('a scan: remembered and on the disk, then the coil, then the answer', async () => {
    const { reader, clock, diary, outbox } = await fakeStation();
    reader.scan(MEMBER);
    await clock.advance(100);
    expect(diary).toEqual([
      'accept 7',
      'record access card granted',
      'coil release',
      'record door secured released grant',
      'answer +',
    ]);
    const access = outbox.events.find((event) => event.kind === 'access');
    expect(access).toMatchObject({ card: 7, org: 37, card_issued_at_s: 1_780_000_000 });
    await clock.advance(10_000);
    expect(diary.slice(5)).toEqual(['coil engage', 'record door released secured relocked']);
  });

  test('nothing moves before the event is durable, however slow the disk', async () => {
    const { reader, clock, diary, outbox } = await fakeStation();
    outbox.fsync_ms = 900;
    reader.scan(MEMBER);
    await clock.advance(850);
    expect(diary).toEqual(['accept 7']);
    await clock.advance(100);
    expect(diary).toContain('coil release');
  });

  test('two valid cards in the same 10 ms: both granted, one after the other, the release extended', async () => {
    const { reader, clock, diary } = await fakeStation();
    reader.scan(MEMBER);
    await clock.advance(5);
    reader.scan(OTHER);
    await clock.advance(200);
    expect(diary.filter((line) => /accept|access|coil|answer/.test(line))).toEqual([
      'accept 7',
      'record access card granted',
      'coil release',
      'accept 8',
      'record access card granted',
      'coil release',
      'answer +',
      'answer +',
    ]);
  });

  test('a scan while the door is open: granted, and the lock stays released for it', async () => {
    const { agent, reader, io, clock, diary } = await fakeStation();
    reader.scan(MEMBER);
    await clock.advance(500);
    io.set({ doorOpen: true });
    await clock.advance(1_000);
    expect(agent.door.view().portal).toBe('open');
    diary.length = 0;
    reader.scan(OTHER);
    await clock.advance(500);
    expect(diary).toEqual(['accept 8', 'record access card granted', 'coil release', 'answer +']);
    io.set({ doorOpen: false });
    await clock.advance(500);
    expect(agent.door.view().portal).toBe('released');
  });

  test('a scan while the lock is stuck: tried again, and the lock that moves again clears the fault', async () => {
    const { agent, reader, io, clock, diary } = await fakeStation();
    io.lock = 'stuck';
    reader.scan(MEMBER);
    await clock.advance(3_000);
    expect(agent.door.view().portal).toBe('fault');
    expect(diary).toContain('record door released fault lockStuckEngaged');
    io.lock = 'works';
    diary.length = 0;
    reader.scan(OTHER);
    await clock.advance(500);
    expect(diary).toContain('answer +');
    expect(agent.door.view().portal).toBe('released');
  });

  test('a lock that does not answer: the person is told so, and the door does not open behind his back', async () => {
    const { agent, reader, io, clock, diary } = await fakeStation();
    io.lock = 'silent';
    reader.scan(MEMBER);
    await clock.advance(200);
    expect(diary).toContain('answer -lockFault');
    expect(agent.door.view().portal).toBe('fault');
    io.lock = 'works';
    diary.length = 0;
    await clock.advance(10_000);
    expect(diary).not.toContain('coil release');
    expect(agent.door.view().portal).toBe('secured');
  });

  test('without the controller a valid card is told that the lock cannot move', async () => {
    const { reader, io, clock, diary } = await fakeStation();
    io.device('controller', false);
    diary.length = 0;
    reader.scan(MEMBER);
    await clock.advance(100);
    expect(diary.filter((line) => /access|coil|answer/.test(line))).toEqual([
      'record access card lockFault',
      'answer -lockFault',
    ]);
  });

  test('a full disk: fail_open opens and records later, fail_closed says why not', async () => {
    const open = await fakeStation(failing('fail_open'));
    open.outbox.disk = 'full';
    open.reader.scan(MEMBER);
    await open.clock.advance(100);
    expect(open.diary).toContain('coil release');
    open.outbox.disk = 'works';
    await open.clock.advance(20_000);
    expect(open.diary).toContain('record access card granted');

    const closed = await fakeStation(failing('fail_closed'));
    closed.outbox.disk = 'full';
    closed.reader.scan(MEMBER);
    await closed.clock.advance(100);
    expect(closed.diary).not.toContain('coil release');
    expect(closed.diary).toContain('answer -journalUnavailable');
  });

  test('a storm of guesses fills neither the flash nor the reader: one record tells of the pause', async () => {
    const { agent, reader, clock, outbox } = await fakeStation();
    for (let n = 0; n < 50; n += 1) {
      reader.scan('deny badHolderSignature');
      await clock.advance(200);
    }
    expect(outbox.events.filter((event) => event.kind === 'access')).toHaveLength(6);
    expect(agent.door.metrics.answers.get('rateLimited')).toBe(45);
    for (let n = 0; n < 50; n += 1) reader.scan(MEMBER);
    expect(agent.door.metrics.scans_dropped).toBe(46);
  });

  test('smoke releases and keeps releasing, in lockdown too; the exit button always does', async () => {
    const { agent, io, clock, diary } = await fakeStation();
    await settle({ clock }, agent.door.setMode('lockdown', 'test'));
    diary.length = 0;
    io.set({ smoke: true });
    await clock.advance(20_000);
    expect(diary.filter((line) => line === 'coil release').length).toBeGreaterThan(5);
    io.set({ smoke: false });
    await clock.advance(5_000);
    expect(agent.door.view().portal).toBe('secured');
    io.set({ egressPressed: true });
    await clock.advance(100);
    expect(agent.door.view().portal).toBe('released');
  });

  test('the mode outlives a restart', async () => {
    const first = await fakeStation();
    await settle(first, first.agent.door.setMode('lockdown', 'test'));
    await settle(first, first.agent.stop());
    const second = await fakeStation({ clock: first.clock, tables: first.tables });
    expect(second.agent.door.view().mode).toBe('lockdown');
    second.reader.scan(MEMBER);
    await second.clock.advance(100);
    expect(second.diary).toContain('answer -lockdown');
  });
});

/** Lets time pass until the work is done. */
async function settle<T>({ clock }: Pick<FakeStation, 'clock'>, work: Promise<T>): Promise<T> {
  const settled = Promise.allSettled([work]);
  await clock.advance(1_000);
  await settled;
  return work;
}

describe("mom's room", () => {
  const room = () => fakeStation({ kind: 'M' });

  test('keeps no word about who, and lets nobody else in', async () => {
    const { agent, reader, io, clock, outbox, diary } = await room();
    reader.scan(MOTHER);
    await clock.advance(500);
    const access = outbox.events.find((event) => event.kind === 'access');
    expect(access).toMatchObject({ outcome: 'granted' });
    for (const field of ['card', 'org', 'card_issued_at_s'])
      expect(access).not.toHaveProperty(field);
    io.set({ doorOpen: true });
    await clock.advance(1_000);
    io.set({ doorOpen: false, presence: true });
    await clock.advance(10_000);
    diary.length = 0;
    for (const card of [MOTHER, CLEANER]) reader.scan(card);
    const remote = agent.door.open('order-0001');
    await clock.advance(1_000);
    expect(diary.filter((line) => /coil|answer/.test(line))).toEqual([
      'answer -occupied',
      'answer -occupied',
    ]);
    expect(await remote).toEqual({ outcome: 'denied', denial: 'occupied' });
  });

  test('two mothers in the same 10 ms: one is let in', async () => {
    const { reader, clock, diary } = await room();
    reader.scan(MOTHER);
    reader.scan('card 11 rights 4');
    await clock.advance(200);
    expect(diary.filter((line) => /coil|answer/.test(line)).sort()).toEqual([
      'answer +',
      'answer -occupied',
      'coil release',
    ]);
  });

  test('has no free access', async () => {
    const station = await room();
    const setting = station.agent.door.setMode('freeAccess', 'test');
    await expect(settle(station, setting)).rejects.toThrow(/no free access/);
  });

  test('no method, mode or restart opens it while it is occupied', async () => {
    const modes: DoorMode[] = ['normal', 'freeAccess', 'lockdown', 'maintenance'];
    const step = fc.oneof(
      fc
        .constantFrom(MOTHER, CLEANER, 'card 12 rights 15', 'deny replayed')
        .map((scan) => ({ scan })),
      fc.constantFrom(...modes).map((mode) => ({ mode })),
      fc.constantFrom('open', 'restart', 'controller').map((act) => ({ act })),
      fc
        .record({ doorOpen: fc.boolean(), presence: fc.boolean(), privacyBolt: fc.boolean() })
        .map((inputs) => ({ inputs })),
      fc.record({ presence: fc.boolean() }).map((inputs) => ({ inputs })),
      fc.integer({ min: 0, max: 90_000 }).map((pass_ms) => ({ pass_ms })),
    );
    let tried_while_occupied = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const clock = fakeClock();
        const tables = { door: fakeTable(), orders: fakeTable() };
        let station = await fakeStation({ kind: 'M', clock, tables });
        for (const next of steps) {
          const occupied = station.agent.door.view().room !== 'free';
          station.diary.length = 0;
          if ('scan' in next) station.reader.scan(next.scan);
          else if ('mode' in next)
            station.agent.door.setMode(next.mode, 'test').catch(() => undefined);
          else if ('inputs' in next) station.io.set(next.inputs);
          else if ('act' in next && next.act === 'open') void station.agent.door.open('order-0001');
          else if ('act' in next && next.act === 'controller') {
            station.io.device('controller', false);
            station.io.device('controller', true);
            station.io.set({});
          } else if ('act' in next) {
            const inputs = station.io.inputs;
            await settle(station, station.agent.stop());
            station = await fakeStation({ kind: 'M', clock, tables });
            station.io.set({ ...CALM, ...inputs });
            if (occupied) expect(station.agent.door.view().room).not.toBe('free');
          }
          await clock.advance('pass_ms' in next ? next.pass_ms : 150);
          const asked = 'scan' in next || ('act' in next && next.act === 'open');
          if (!occupied) continue;
          expect(station.diary).not.toContain('coil release');
          if (asked) tried_while_occupied += 1;
        }
        await settle(station, station.agent.stop());
      }),
      { numRuns: 300 },
    );
    expect(tried_while_occupied).toBeGreaterThan(500);
  });
});
