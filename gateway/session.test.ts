import { expect, test } from 'vitest';
import fc from 'fast-check';
import {
  ackTopic,
  commandTopic,
  mayPublish,
  maySubscribe,
  stateTopic,
  uplinkTopic,
} from '@waystation/protocol/topics';
import { stationCode } from '@waystation/protocol/station-code';
import { judgePublish, rightsOf, STATE_BYTES_MAX } from './session.ts';

const MINE = stationCode('370102001', 'W', 1);
const OTHER = stationCode('370102001', 'W', 2);
const RIGHTS = rightsOf(MINE);

const levels = fc.constantFrom(
  'ws',
  '1',
  '2',
  MINE,
  OTHER,
  'up',
  'event',
  'sample',
  'ack',
  'cmd',
  'state',
  '+',
  '#',
  '$SYS',
  '',
);
const topics = fc.oneof(
  fc.array(levels, { maxLength: 6 }).map((parts) => parts.join('/')),
  fc.constantFrom(
    uplinkTopic(MINE, 'event'),
    stateTopic(MINE),
    ackTopic(MINE),
    commandTopic(OTHER),
  ),
  fc.string(),
);

test('the rights of a station are the topic table, spelled out', () => {
  let granted = 0;
  fc.assert(
    fc.property(topics, (topic) => {
      expect(RIGHTS.publish.has(topic)).toBe(mayPublish(MINE, topic));
      expect(RIGHTS.subscribe.has(topic)).toBe(maySubscribe(MINE, topic));
      granted += Number(RIGHTS.publish.has(topic));
    }),
    { numRuns: 5_000 },
  );
  expect(granted).toBeGreaterThan(0);
  expect([...RIGHTS.publish.keys(), ...RIGHTS.subscribe.keys()]).toEqual([
    `ws/1/${MINE}/up/event`,
    `ws/1/${MINE}/up/sample`,
    `ws/1/${MINE}/state`,
    `ws/1/${MINE}/ack`,
    `ws/1/${MINE}/cmd`,
  ]);
});

const uplink = {
  topic: uplinkTopic(MINE, 'event'),
  qos: 0,
  retain: false,
  payload: Buffer.alloc(10),
};
const state = { topic: stateTopic(MINE), qos: 1, retain: true, payload: Buffer.alloc(10) };

test.each([
  ['an event', uplink, { verdict: 'uplink', stream: 'event' }],
  [
    'a sample',
    { ...uplink, topic: uplinkTopic(MINE, 'sample') },
    { verdict: 'uplink', stream: 'sample' },
  ],
  ['its state', state, { verdict: 'state' }],
  [
    'at the limit',
    { ...uplink, payload: Buffer.alloc(100) },
    { verdict: 'uplink', stream: 'event' },
  ],
  [
    'over the limit',
    { ...uplink, payload: Buffer.alloc(101) },
    { verdict: 'refused', reason: 'size' },
  ],
  [
    'a long state',
    { ...state, payload: Buffer.alloc(STATE_BYTES_MAX + 1) },
    { verdict: 'refused', reason: 'size' },
  ],
  ['an event at QoS 1', { ...uplink, qos: 1 }, { verdict: 'refused', reason: 'qos' }],
  ['an event at QoS 2', { ...uplink, qos: 2 }, { verdict: 'refused', reason: 'qos' }],
  ['its state at QoS 0', { ...state, qos: 0 }, { verdict: 'refused', reason: 'qos' }],
  ['a retained event', { ...uplink, retain: true }, { verdict: 'refused', reason: 'retain' }],
  [
    'its state, not retained',
    { ...state, retain: false },
    { verdict: 'refused', reason: 'retain' },
  ],
  [
    'an acknowledgement',
    { ...uplink, topic: ackTopic(MINE) },
    { verdict: 'refused', reason: 'topic' },
  ],
  ['a command', { ...uplink, topic: commandTopic(MINE) }, { verdict: 'refused', reason: 'topic' }],
  [
    "another station's event",
    { ...uplink, topic: uplinkTopic(OTHER, 'event') },
    { verdict: 'refused', reason: 'topic' },
  ],
  [
    "another station's state",
    { ...state, topic: stateTopic(OTHER) },
    { verdict: 'refused', reason: 'topic' },
  ],
])('a station publishes %s', (_name, packet, verdict) => {
  expect(judgePublish(RIGHTS, packet, 100)).toEqual(verdict);
});
