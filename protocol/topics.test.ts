import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { stationCode } from './station-code.ts';
import {
  ackTopic,
  commandTopic,
  mayPublish,
  maySubscribe,
  mosquittoAcl,
  parseTopic,
  stateTopic,
  STREAMS,
  uplinkTopic,
} from './topics.ts';

const mine = stationCode('370811002', 'W', 1);
const other = stationCode('370811002', 'W', 2);
const all = (station: typeof mine) => [
  ...STREAMS.map((stream) => uplinkTopic(station, stream)),
  ackTopic(station),
  commandTopic(station),
  stateTopic(station),
];

describe('topics', () => {
  test('every built topic parses back', () => {
    expect(all(mine).map((topic) => parseTopic(topic))).toEqual([
      { name: 'uplink', station: mine, stream: 'event' },
      { name: 'uplink', station: mine, stream: 'sample' },
      { name: 'ack', station: mine },
      { name: 'command', station: mine },
      { name: 'state', station: mine },
    ]);
  });

  test('a station may do exactly this', () => {
    const table = [...all(mine), ...all(other)].map(
      (topic) =>
        `${topic.replace(mine, 'MINE').replace(other, 'OTHER')} publish=${mayPublish(mine, topic)} subscribe=${maySubscribe(mine, topic)}`,
    );
    expect(table.join('\n')).toMatchInlineSnapshot(`
      "ws/1/MINE/up/event publish=true subscribe=false
      ws/1/MINE/up/sample publish=true subscribe=false
      ws/1/MINE/ack publish=false subscribe=true
      ws/1/MINE/cmd publish=false subscribe=true
      ws/1/MINE/state publish=true subscribe=false
      ws/1/OTHER/up/event publish=false subscribe=false
      ws/1/OTHER/up/sample publish=false subscribe=false
      ws/1/OTHER/ack publish=false subscribe=false
      ws/1/OTHER/cmd publish=false subscribe=false
      ws/1/OTHER/state publish=false subscribe=false"
    `);
  });

  test('100,000 mutated topics: nothing but the table is allowed, nothing throws', () => {
    const levels = fc.constantFrom(
      'ws',
      '1',
      mine,
      other,
      'up',
      'event',
      'sample',
      'ack',
      'cmd',
      'state',
      '+',
      '#',
      '',
      '$share',
      '$SYS',
      'g',
      ' ',
      '\u0000',
    );
    const reached = { allowed: 0, refused: 0 };
    const good = new Set([
      uplinkTopic(mine, 'event'),
      uplinkTopic(mine, 'sample'),
      stateTopic(mine),
      ackTopic(mine),
      commandTopic(mine),
    ]);
    const mutated = fc.oneof(
      fc.array(levels, { maxLength: 7 }).map((parts) => parts.join('/')),
      fc
        .tuple(
          fc.constantFrom(...good),
          fc.nat({ max: 40 }),
          fc.constantFrom('', '+', '#', '/', 'x', '\u0000'),
        )
        .map(
          ([topic, at, put]) => topic.slice(0, at) + put + topic.slice(at + (put === '' ? 1 : 0)),
        ),
      fc.constantFrom(...good),
    );
    fc.assert(
      fc.property(mutated, (topic) => {
        const allowed = mayPublish(mine, topic) || maySubscribe(mine, topic);
        expect(allowed).toBe(good.has(topic));
        reached[allowed ? 'allowed' : 'refused'] += 1;
      }),
      { numRuns: 100_000 },
    );
    expect(reached.allowed).toBeGreaterThan(1000);
    expect(reached.refused).toBeGreaterThan(50_000);
  });

  test('the rules for an external broker come from the same table', () => {
    expect(mosquittoAcl('gateway')).toMatchInlineSnapshot(`
      "user gateway
      topic read ws/1/+/up/+
      topic write ws/1/+/ack
      topic write ws/1/+/cmd
      topic read ws/1/+/state

      pattern write ws/1/%u/up/+
      pattern read ws/1/%u/ack
      pattern read ws/1/%u/cmd
      pattern write ws/1/%u/state
      "
    `);
  });
});
