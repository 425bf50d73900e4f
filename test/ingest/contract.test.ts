/** What ingest promises, by the same cases on PGlite and on PostgreSQL. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '@waystation/cloud/database/open';
import type { StationCode } from '@waystation/protocol/station-code';
import { stationCode } from '@waystation/protocol/station-code';
import type { EventRecord, SampleRecord } from '@waystation/protocol/records';
import { epochMs, fakeClock } from '@waystation/runtime/clock';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { emptyTables, openTestDatabase, seedStations } from './databases.ts';
import {
  accessEvent,
  BOOT,
  createStationModel,
  doorEvent,
  frameOf,
  reportSample,
  snapshotEvent,
  stampAt,
  type StationModel,
} from './station-model.ts';
import { createIngestWorld, type IngestWorld } from './world.ts';

const NOW = Date.UTC(2026, 10, 22, 4, 0, 0);
const EPOCH = 'aaaaaaaaaaaa';
const NEXT_EPOCH = 'bbbbbbbbbbbb';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(['PGlite', 'PostgreSQL'])('ingest on %s', (name) => {
  let database: Database;
  let codes: StationCode[];
  let world: IngestWorld;
  let station: StationModel;

  beforeAll(async () => {
    database = await openTestDatabase(name === 'PGlite' ? 'pglite:memory://' : postgres.url);
    codes = await seedStations(database, 20);
  });
  beforeEach(async () => {
    await emptyTables(database);
    world = createIngestWorld(database, { clock: fakeClock(epochMs(NOW)) });
    station = createStationModel(codes[0] ?? stationCode('370102001', 'W', 0), EPOCH);
  });
  afterAll(() => database.close());

  const ack = (stream: 'event' | 'sample', through: number, problem?: string, epoch = EPOCH) => ({
    stream,
    epoch,
    through,
    ...(problem === undefined ? {} : { problem }),
  });
  const storedSeqs = async () => (await world.rows('event')).map((row) => Number(row['seq']));
  const state = async () => (await world.rows('station_state'))[0];
  const fill = (count: number, at = NOW) => {
    for (let n = 0; n < count; n += 1) station.event(doorEvent(at + n, 1_000 + n));
  };

  it('commits a run of records once, and answers with how far it is', async () => {
    fill(5);
    expect(await world.send(station.frame('event', 1, 3))).toEqual([ack('event', 3)]);
    expect(await world.send(station.frame('event', 1, 3))).toEqual([ack('event', 3)]);
    expect(await world.send(station.frame('event', 2, 4))).toEqual([ack('event', 5)]);
    expect(await storedSeqs()).toEqual([1, 2, 3, 4, 5]);
    const bodies = (await world.rows('event')).map((row) => row['body']);
    expect(bodies).toEqual(station.records.event);
  });

  it('puts messages of one batch in order, and answers a jump with the cursor', async () => {
    fill(9);
    expect(await world.send(station.frame('event', 4, 3), station.frame('event', 1, 3))).toEqual([
      ack('event', 6),
    ]);
    expect(await world.send(station.frame('event', 8, 2))).toEqual([ack('event', 6, 'gap')]);
    expect(await world.send(station.frame('event', 7, 1))).toEqual([ack('event', 7)]);
    expect(await storedSeqs()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('refuses a station it does not know, and keeps the others', async () => {
    fill(1);
    const stranger = createStationModel(stationCode('370999001', 'W', 9), EPOCH);
    stranger.event(doorEvent(NOW));
    const { acks } = await world.ingest.ingest(
      [stranger.frame('event', 1, 1), station.frame('event', 1, 1)],
      'g',
    );
    expect(acks).toEqual([
      { station: stranger.code, ack: ack('event', 0, 'refused') },
      { station: station.code, ack: ack('event', 1) },
    ]);
  });

  it('sets poison records aside with their reason; their neighbours and the chain go on', async () => {
    station.event(doorEvent(NOW));
    station.event({ ...doorEvent(NOW), cause: 'x'.repeat(300) });
    station.event({ ...doorEvent(NOW), cause: 'a\0b' });
    station.event({ ...doorEvent(NOW), cause: 'half \ud83d pair' });
    station.event({ kind: 'unheard', ...stampAt(NOW) } as unknown as EventRecord);
    station.event({ ...doorEvent(NOW), cause: 'the text \\u0000 is no character' });
    expect(await world.send(station.frame('event', 1, 6))).toEqual([ack('event', 6)]);
    expect(await storedSeqs()).toEqual([1, 6]);
    const letters = await world.rows('dead_letter', 'seq');
    expect(letters.map((row) => [Number(row['seq']), row['reason']])).toEqual([
      [2, expect.stringContaining('cause')],
      [3, expect.stringContaining('PostgreSQL cannot store')],
      [4, expect.stringContaining('PostgreSQL cannot store')],
      [5, expect.stringContaining('kind')],
    ]);
    expect(JSON.parse(String(letters[0]?.['payload']))).toEqual(station.records.event[1]);
  });

  it('finds what only the database refuses, and sets it aside alone', async () => {
    const neighbour = createStationModel(codes[1] ?? station.code, EPOCH);
    neighbour.event(doorEvent(NOW));
    fill(2);
    await database.pool.query(
      `alter table event add constraint no_nines check (station_id <> 1 or seq <> 2)`,
    );
    const answers = await world.send(station.frame('event', 1, 2), neighbour.frame('event', 1, 1));
    await database.pool.query('alter table event drop constraint no_nines');
    expect(answers).toEqual([ack('event', 2), ack('event', 1)]);
    expect((await world.rows('event')).map((row) => row['station_id'])).toEqual([2]);
    expect(await world.rows('dead_letter')).toHaveLength(2);
  });

  it('keeps what cannot be read at all, and says so where it can', async () => {
    const bytes = new Uint8Array([0xff, 0xfe, 0]);
    const answers = await world.send(
      { topic: 'ws/1/nowhere/up/event', payload: bytes },
      { topic: station.frame('event', 1, 0).topic, payload: bytes },
      frameOf(station.code, 'event', { epoch: EPOCH, first: 0, records: [] }),
    );
    expect(answers).toEqual([ack('event', 0, 'refused')]);
    expect(await world.rows('dead_letter')).toHaveLength(3);
    expect(world.ingest.counts.unreadable).toBe(3);
  });

  it('raises a fork where the chain breaks, and stores nothing of it', async () => {
    fill(3);
    await world.send(station.frame('event', 1, 3));
    const clone = createStationModel(station.code, EPOCH);
    for (let n = 0; n < 5; n += 1) clone.event(doorEvent(NOW + 50 + n));
    expect(await world.send(clone.frame('event', 4, 2))).toEqual([ack('event', 3, 'fork')]);
    expect(await world.send(clone.frame('event', 2, 3))).toEqual([ack('event', 3, 'fork')]);
    expect(await storedSeqs()).toEqual([1, 2, 3]);
    expect(await world.rows('stream_fault')).toMatchObject([{ kind: 'fork', seq: '4', times: 2 }]);
  });

  it('raises a fork for a restored disk whose numbers are all old', async () => {
    fill(6);
    await world.send(station.frame('event', 1, 6));
    const restored = createStationModel(station.code, EPOCH);
    for (const record of station.records.event.slice(0, 2)) restored.event(record);
    restored.event(doorEvent(NOW + 999));
    // Only what was compared: the four records behind it may be others.
    expect(await world.send(restored.frame('event', 1, 2))).toEqual([ack('event', 2)]);
    expect(await world.send(restored.frame('event', 2, 2))).toEqual([ack('event', 6, 'fork')]);
    expect(await world.rows('stream_fault')).toMatchObject([{ kind: 'fork', seq: '3' }]);
  });

  it('begins a new epoch after another, and suspects a clone when the old one goes on', async () => {
    fill(2);
    await world.send(station.frame('event', 1, 1));
    const successor = createStationModel(station.code, NEXT_EPOCH);
    successor.event(snapshotEvent(NOW + 10, { portal: 'heldOpen' }));
    expect(await world.send(successor.frame('event', 1, 1))).toEqual([
      ack('event', 1, undefined, NEXT_EPOCH),
    ]);
    expect(await world.send(station.frame('event', 2, 1))).toEqual([ack('event', 2)]);
    expect(await world.rows('stream_fault', 'kind')).toMatchObject([
      { kind: 'clone', epoch: EPOCH },
      { kind: 'epoch', epoch: NEXT_EPOCH },
    ]);
    expect((await world.rows('event')).map((row) => [row['generation'], row['seq']])).toEqual([
      [1, '1'],
      [1, '2'],
      [2, '1'],
    ]);
    expect(await state()).toMatchObject({ generation: 2, portal: 'heldOpen' });
  });

  it('refuses an event message without its chain hash', async () => {
    const message = { epoch: EPOCH, first: 1, records: [doorEvent(NOW)] };
    expect(await world.send(frameOf(station.code, 'event', message))).toEqual([
      ack('event', 0, 'refused'),
    ]);
  });

  it('folds events and reports into the state; late ones leave it alone', async () => {
    station.event(snapshotEvent(NOW - 5_000));
    station.event({ kind: 'input', ...stampAt(NOW - 4_000), input: 'smoke', active: true });
    station.event({ kind: 'device', ...stampAt(NOW - 3_000), device: 'reader', online: false });
    station.event({
      kind: 'door',
      ...stampAt(NOW - 2_000),
      from: 'secured',
      to: 'forcedOpen',
      cause: 'contact',
    });
    station.sample(reportSample(NOW - 1_000, 23));
    station.sample(reportSample(NOW - 3_600_000, 5));
    await world.send(station.frame('event', 1, 4), station.frame('sample', 1, 2));
    expect(await state()).toMatchObject({
      portal: 'forcedOpen',
      mode: 'normal',
      inputs: { smoke: true, doorOpen: false },
      devices: { controller: true, environment: true, reader: false },
      values: {
        temperature_cel: { value: 23, at: NOW - 1_000 },
        co2_ppm: { value: 420, at: NOW - 1_000 },
      },
      last_record_at: new Date(NOW - 1_000),
      last_received_at: new Date(NOW),
    });
    station.event(snapshotEvent(NOW, { inputs: { tamper: true }, values: {} }));
    await world.send(station.frame('event', 5, 1));
    station.sample(reportSample(NOW - 2_000, 9));
    await world.send(station.frame('sample', 3, 1));
    const after = await state();
    expect(after).toMatchObject({ portal: 'secured' });
    expect(after?.['inputs']).toEqual({ tamper: true });
    expect(after?.['values']).toEqual({});
  });

  it('never lets a clock in the future hold the state', async () => {
    station.event(snapshotEvent(NOW + 400 * 86_400_000, { values: { temperature_cel: 1 } }));
    await world.send(station.frame('event', 1, 1));
    station.sample(reportSample(NOW, 22));
    await world.send(station.frame('sample', 1, 1));
    expect(await state()).toMatchObject({ values: { temperature_cel: { value: 22 } } });
  });

  it('stamps records anew that were made before the clock was set', async () => {
    const early: EventRecord = { ...doorEvent(1_000, 5_000), clock: 'unknown' };
    station.event(early);
    station.event({ ...early, mono: 6_000 });
    const sample: SampleRecord = { ...reportSample(1_000, 20), clock: 'unknown', mono: 7_000 };
    station.sample(sample);
    const withOffsets = (stream: 'event' | 'sample') => {
      const frame = station.frame(stream, 1, 1);
      const message = JSON.parse(Buffer.from(frame.payload).toString()) as object;
      return frameOf(station.code, stream, { ...message, offsets: { [BOOT]: NOW - 3_600_000 } });
    };
    await world.send(withOffsets('event'), withOffsets('sample'), station.frame('event', 2, 1));
    expect(await world.rows('event')).toMatchObject([
      { at: new Date(NOW - 3_600_000 + 5_000), clock: 'holdover', band: 'late' },
      { at: new Date(NOW), clock: 'unknown', band: 'live', body: { at: 1_000 } },
    ]);
    expect(await world.rows('telemetry')).toMatchObject([
      { at: new Date(NOW - 3_600_000 + 7_000) },
    ]);
  });

  it('says how late a record came', async () => {
    for (const age_ms of [0, 60_001, 600_001, 86_400_001]) station.event(doorEvent(NOW - age_ms));
    await world.send(station.frame('event', 1, 4));
    expect((await world.rows('event')).map((row) => row['band'])).toEqual([
      'live',
      'grace',
      'late',
      'archive',
    ]);
  });

  it('counts openings and denials by the day in Shanghai', async () => {
    const midnight = Date.UTC(2026, 10, 21, 16, 0, 0);
    station.event(accessEvent(midnight - 1, 'granted'));
    station.event(accessEvent(midnight, 'granted'));
    station.event(accessEvent(midnight + 1, 'denied'));
    station.event({ ...accessEvent(midnight + 2, 'granted'), method: 'egress' } as EventRecord);
    await world.send(station.frame('event', 1, 2));
    await world.send(station.frame('event', 1, 4));
    const { rows } = await database.pool.query(
      `select to_char(day, 'YYYY-MM-DD') as day, openings, denials from usage_daily order by day`,
    );
    expect(rows).toEqual([
      { day: '2026-11-21', openings: 1, denials: 0 },
      { day: '2026-11-22', openings: 1, denials: 1 },
    ]);
  });

  it('takes the word of the station on a command, forwards only', async () => {
    await database.pool.query(
      `insert into command (id, station_id, kind, body, status, actor, issued_at, deadline_at)
       select 'command-' || n, 1 + n / 3, 'open', '{}', 'sent', 'a', now(), now() from generate_series(1, 3) n`,
    );
    const answer = (
      id: string,
      status: 'received' | 'succeeded' | 'failed',
      reason?: string,
    ): EventRecord => ({
      kind: 'command',
      ...stampAt(NOW),
      id,
      status,
      ...(reason === undefined ? {} : { reason }),
    });
    station.event(answer('command-1', 'received'));
    station.event(answer('command-1', 'succeeded'));
    station.event(answer('command-2', 'failed', 'lock'));
    station.event(answer('command-2', 'received'));
    station.event(answer('command-3', 'succeeded')); // another station's
    await world.send(station.frame('event', 1, 5));
    expect(world.batches[0]?.command_ids.toSorted()).toEqual(['command-1', 'command-2']);
    const commands = await world.rows('command');
    expect(commands.map((row) => [row['status'], row['reason']])).toEqual([
      ['succeeded', null],
      ['failed', 'lock'],
      ['sent', null],
    ]);
  });

  it('shows the holes of the sample stream, and takes a thinned record across its cursor', async () => {
    station.sample(reportSample(NOW, 20));
    await world.send(station.frame('sample', 1, 1));
    const thinned = {
      epoch: EPOCH,
      first: 1,
      records: [{ ...reportSample(NOW + 1, 21), span: 10 }],
    };
    expect(await world.send(frameOf(station.code, 'sample', thinned))).toEqual([ack('sample', 10)]);
    const gap = {
      kind: 'gap',
      ...stampAt(NOW),
      span: 90,
      reason: 'diskBudget',
      from_at: NOW - 9_000,
    };
    const dropped = {
      epoch: EPOCH,
      first: 11,
      records: [gap, { ...reportSample(NOW, 1), values: { unheard: 1 }, span: 5 }],
    };
    expect(await world.send(frameOf(station.code, 'sample', dropped))).toEqual([
      ack('sample', 105),
    ]);
    expect(await world.rows('stream_fault')).toMatchObject([
      {
        kind: 'gap',
        seq: '11',
        span: '90',
        detail: 'diskBudget',
        from_at: new Date(NOW - 9_000),
        to_at: new Date(NOW),
      },
    ]);
    expect(await world.rows('telemetry')).toHaveLength(2);
  });

  it('tells the live view what was committed, once, in order', async () => {
    fill(4);
    await Promise.all([
      world.send(station.frame('event', 1, 2)),
      world.send(station.frame('event', 3, 2)),
    ]);
    await world.send(station.frame('event', 1, 4));
    const events = world.batches.flatMap((batch) => batch.events);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(events[0]).toEqual({
      station: station.code,
      station_id: 1,
      epoch: EPOCH,
      generation: 1,
      seq: 1,
      at: NOW,
      received_at: NOW,
      band: 'live',
      record: station.records.event[0],
    });
  });

  it('lets an old epoch add history, but not move the state, also in one batch', async () => {
    fill(2);
    await world.send(station.frame('event', 1, 1));
    const successor = createStationModel(station.code, NEXT_EPOCH);
    successor.event(snapshotEvent(NOW + 10, { portal: 'heldOpen' }));
    await world.send(successor.frame('event', 1, 1), station.frame('event', 2, 1));
    expect(await world.rows('event')).toHaveLength(3);
    expect(await state()).toMatchObject({ generation: 2, seq: '1', portal: 'heldOpen' });
  });

  it('answers each caller with its own stations only', async () => {
    const models = codes.slice(0, 6).map((code) => createStationModel(code, EPOCH));
    // The first calls take every place; the others wait, and are committed together.
    const answers = await Promise.all(
      models.map((model) => {
        const frame = model.frame('event', model.event(doorEvent(NOW)), 1);
        return world.ingest.ingest([frame], 'a');
      }),
    );
    expect(answers.map(({ acks }) => acks.map((a) => a.station))).toEqual(
      models.map(({ code }) => [code]),
    );
    expect(world.ingest.counts.batches).toBeLessThan(models.length);
  });
});
