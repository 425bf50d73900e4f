import { fakeClock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { expect, test } from 'vitest';
import { createEventJournal } from './event-journal.ts';
import { type Diary, fakeOutbox, fakeStamp } from './fake-parts.ts';

function parts() {
  const clock = fakeClock();
  const diary: Diary = [];
  const outbox = fakeOutbox(clock, diary);
  const stamp = fakeStamp(clock, { now: 'synced' });
  const record = (n: number) => ({
    kind: 'mode' as const,
    ...stamp(),
    mode: 'normal' as const,
    cause: String(n),
  });
  const causes = () =>
    outbox.events.map((event) => (event.kind === 'mode' ? Number(event.cause) : -1));
  return { clock, outbox, record, causes, journal: createEventJournal(outbox, clock, silentLog) };
}

test('while the disk refuses, events wait in order and whoever waits for them is told', async () => {
  const { clock, outbox, record, causes, journal } = parts();
  outbox.disk = 'full';
  const first = expect(journal.append(record(1))).rejects.toSatisfy((error) =>
    isFault(error, 'OUTBOX_FULL'),
  );
  await clock.advance(10);
  await first;
  journal.note(record(2));
  journal.note(record(3));
  await clock.advance(20_000);
  expect(journal.counters()).toEqual({ held: 3, lost: 0 });
  outbox.disk = 'works';
  await clock.advance(5_100);
  expect(causes()).toEqual([1, 2, 3]);
  expect(journal.counters()).toEqual({ held: 0, lost: 0 });
});

test('a new event behind held ones does not overtake them, and is durable when they are', async () => {
  const { clock, outbox, record, causes, journal } = parts();
  outbox.disk = 'full';
  journal.note(record(1));
  await clock.advance(10);
  outbox.disk = 'works';
  const second = journal.append(record(2));
  await clock.advance(10);
  await second;
  expect(causes()).toEqual([1, 2]);
});

test('memory is bounded: the oldest go, and are counted', async () => {
  const { clock, outbox, record, causes, journal } = parts();
  outbox.disk = 'full';
  for (let n = 0; n < 300; n += 1) {
    journal.note(record(n));
    await clock.advance(5);
  }
  expect(journal.counters()).toEqual({ held: 256, lost: 44 });
  outbox.disk = 'works';
  const stopped = journal.stop();
  await clock.advance(2_000);
  await stopped;
  expect(causes()).toEqual(Array.from({ length: 256 }, (_, n) => n + 44));
});
