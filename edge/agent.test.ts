import { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { describe, expect, test } from 'vitest';
import { fakeStation } from './fake-parts.ts';
import type { UplinkSession, UplinkTransport } from './ports.ts';

/** A gateway that takes every session and loses it when told. */
function gateway() {
  const closers: ((reason: string) => void)[] = [];
  const transport: UplinkTransport = {
    connect: () => {
      const session: UplinkSession = {
        send: () => undefined,
        onAck: () => undefined,
        onCommand: () => undefined,
        onClosed: (listener) => void closers.push(listener),
        end: () => Promise.resolve(),
      };
      return Promise.resolve(session);
    },
  };
  return { transport, lose: () => closers.at(-1)?.('test') };
}

describe('agent', () => {
  test('begins with started and a snapshot of everything that is known', async () => {
    const { outbox, agent } = await fakeStation();
    const kinds = outbox.events.map((event) => event.kind);
    expect(kinds[0]).toBe('started');
    expect(kinds.filter((kind) => kind === 'snapshot')).toHaveLength(1);
    const snapshot = outbox.events.find((event) => event.kind === 'snapshot');
    expect(snapshot).toMatchObject({
      portal: 'secured',
      mode: 'normal',
      inputs: { doorOpen: false, mainsPresent: true },
      devices: { controller: true, environment: true, reader: true },
    });
    expect(snapshot).not.toHaveProperty('room');
    expect(await agent.firstLook).toBe(true);
    for (const event of outbox.events) EventRecord.parse(event);
  });

  test('every session begins with a fresh snapshot', async () => {
    const { transport, lose } = gateway();
    const { outbox, clock } = await fakeStation({ transport });
    const snapshots = () => outbox.events.filter((event) => event.kind === 'snapshot').length;
    const before = snapshots();
    lose();
    await clock.advance(2_000);
    expect(snapshots()).toBe(before + 1);
  });

  test('remembers the boot before', async () => {
    const first = await fakeStation();
    const { outbox } = await fakeStation({ clock: first.clock, tables: first.tables });
    expect(outbox.events[0]).toMatchObject({ kind: 'started', previous_boot: '0badb007' });
  });

  test('points of one station never share a millisecond, and follow a clock that is set back', async () => {
    const { io, clock, outbox } = await fakeStation();
    for (let n = 0; n < 50; n += 1) {
      io.measure({ temperature_cel: { quality: 'good', value: 20 + n } });
      await clock.advance(5_000);
      if (n % 10 === 5) clock.stepWall(-5_000);
    }
    const times = outbox.samples.map((sample) => sample.at);
    expect(times).toHaveLength(50);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    clock.stepWall(-86_400_000);
    io.measure({ temperature_cel: { quality: 'good', value: 80 } });
    expect(outbox.samples.at(-1)?.at).toBe(clock.wall());
    for (const sample of outbox.samples) SampleRecord.parse(sample);
  });

  test('tells of contacts, devices and broken sensors', async () => {
    const { io, reader, clock, diary } = await fakeStation();
    io.set({ sosPressed: true });
    reader.online(false);
    io.device('environment', false);
    await clock.advance(10);
    expect(diary).toEqual([
      'record input sosPressed true',
      'record device reader false',
      'record device environment false',
    ]);
  });

  test('lets go of its lines without calling the devices lost', async () => {
    const { agent, io, reader, diary, clock } = await fakeStation();
    const stopped = agent.stop();
    reader.online(false);
    io.device('controller', false);
    await clock.advance(10);
    await stopped;
    expect(diary).toEqual([]);
  });
});
