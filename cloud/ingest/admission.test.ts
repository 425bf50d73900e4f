import { describe, expect, it } from 'vitest';
import { stationCode } from '@waystation/protocol/station-code';
import { uplinkTopic } from '@waystation/protocol/topics';
import { admit } from './admission.ts';

const STATION = stationCode('370102001', 'W', 1);
const stamp = { at: 1_780_000_000_000, mono: 5, boot: '0badcafe', clock: 'synced' };
const door = { kind: 'door', ...stamp, from: 'secured', to: 'open', cause: 'granted' };
const report = { kind: 'report', ...stamp, values: { co2_ppm: 400 } };
const envelope = {
  epoch: 'aaaaaaaaaaaa',
  first: 1,
  previous_hash: '0'.repeat(64),
  records: [door],
};

function admitJson(stream: 'event' | 'sample', message: object) {
  return admit({
    topic: uplinkTopic(STATION, stream),
    payload: Buffer.from(JSON.stringify(message)),
  });
}
function recordsOf(stream: 'event' | 'sample', records: unknown[]) {
  const admission = admitJson(stream, { ...envelope, records });
  if (!admission.admitted) throw new Error(admission.problem);
  return admission.message.records;
}

describe('admission', () => {
  it('reads an event with the text its chain covers', () => {
    expect(recordsOf('event', [door])).toEqual([
      { span: 1, json: JSON.stringify(door), record: door },
    ]);
  });

  it.each([
    ['a field nobody knows', { ...door, more: 1 }, 'more'],
    ['a wrong type', { ...door, at: '5' }, 'at'],
    ['a record of the other stream', report, 'kind'],
    ['no object', 5, 'expected object'],
  ])('names what is wrong with %s, and keeps its neighbours', (_, poison, problem) => {
    const [first, second, third] = recordsOf('event', [door, poison, door]);
    expect(first?.record).toEqual(door);
    expect(second).toMatchObject({ span: 1, json: JSON.stringify(poison), record: null });
    expect(second?.problem).toContain(problem);
    expect(third?.record).toEqual(door);
  });

  it('believes a poison sample its length, within bounds, so that the stream goes on', () => {
    const spans = [7, 0, -1, 1.5, 2_000_000_000, '9'].map((span) => ({
      ...report,
      span,
      values: { unheard: 1 },
    }));
    expect(
      recordsOf('sample', [...spans, 'text']).map(({ span, record }) => [span, record]),
    ).toEqual([7, 1, 1, 1, 1, 1, 1].map((span) => [span, null]));
    expect(recordsOf('sample', [{ ...report, span: 3 }])).toMatchObject([
      { span: 3, record: { kind: 'report' } },
    ]);
  });

  it.each([
    ['an envelope field nobody knows', { ...envelope, more: 1 }, 'more', 'aaaaaaaaaaaa'],
    ['sequence number 0', { ...envelope, first: 0 }, 'first', 'aaaaaaaaaaaa'],
    ['no records', { ...envelope, records: [] }, 'records', 'aaaaaaaaaaaa'],
    ['a short epoch', { ...envelope, epoch: 'aa' }, 'epoch', null],
    ['a list', [], '(root)', null],
  ])('refuses %s by name, with the epoch where it can be read', (_, message, problem, epoch) => {
    expect(admitJson('event', message)).toMatchObject({
      admitted: false,
      problem: expect.stringContaining(problem),
      station: STATION,
      epoch,
    });
  });

  it('refuses bytes that are no message, without throwing', () => {
    const topic = uplinkTopic(STATION, 'event');
    const cases = [
      Buffer.from('{'),
      Buffer.from([0xc3, 0x28]),
      Buffer.alloc(0),
      Buffer.alloc(200_000, ' '),
    ];
    for (const payload of cases)
      expect(admit({ topic, payload })).toMatchObject({ admitted: false, station: STATION });
    for (const wrong of ['', 'ws/1/x/up/event', `ws/1/${STATION}/ack`, `${topic}/`]) {
      expect(admit({ topic: wrong, payload: Buffer.from('{}') })).toMatchObject({
        admitted: false,
        station: null,
      });
    }
  });
});
