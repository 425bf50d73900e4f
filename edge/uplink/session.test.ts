import { describe, expect, test } from 'vitest';
import type { Ack } from '@waystation/protocol/uplink';
import { monoMs } from '@waystation/runtime/clock';
import {
  initialLane,
  initialUplink,
  stepUplink,
  wakeAt,
  type LaneState,
  type UplinkInput,
  type UplinkState,
} from './session.ts';

const EPOCH = 'aaaaaaaaaaaa';
const NOW = monoMs(100_000);
const lane = (part: Partial<LaneState> = {}): LaneState => ({
  ...initialLane({ epoch: EPOCH, acked: 10, head: 40 }),
  reached: part.sent ?? 10,
  ...part,
});
const flight = (...lasts: number[]) => lasts.map((last) => ({ last, sent_at: monoMs(NOW - 100) }));
const idle = lane({ acked: 40, sent: 40 });
const live = { p: 'live', since: monoMs(NOW - 60_000) } as const;
const state = (part: Partial<UplinkState> = {}): UplinkState => ({
  ...initialUplink({ event: lane(), sample: idle }),
  phase: live,
  confirmed: true,
  ...part,
});

const STATES: Record<string, UplinkState> = {
  stopped: state({ phase: { p: 'stopped' } }),
  waiting: state({ phase: { p: 'waiting', until: NOW }, attempts: 3 }),
  connecting: state({ phase: { p: 'connecting' }, attempts: 3 }),
  liveIdle: state({ lanes: { event: idle, sample: idle } }),
  liveBusy: state({
    lanes: {
      event: lane({ sent: 30, in_flight: flight(20, 30), due: NOW, window: 4 }),
      sample: lane({ acked: 5, sent: 5 }),
    },
  }),
  liveFull: state({
    lanes: {
      event: lane({ sent: 30, in_flight: flight(20, 30), due: monoMs(NOW + 1), window: 2 }),
      sample: idle,
    },
  }),
  liveUnconfirmed: state({
    confirmed: false,
    lanes: {
      event: lane({ sent: 40, in_flight: flight(40), due: monoMs(NOW + 1) }),
      sample: lane(),
    },
  }),
  liveHeld: state({ lanes: { event: lane({ held: true, due: NOW, window: 1 }), sample: idle } }),
  liveRegressed: state({
    lanes: {
      event: lane({
        sent: 20,
        in_flight: flight(20),
        due: NOW,
        window: 1,
        regressed: true,
        strikes: 2,
      }),
      sample: idle,
    },
  }),
};
const ack = (through: number, problem?: Ack['problem']): UplinkInput => ({
  i: 'ack',
  ack: { stream: 'event', epoch: EPOCH, through, ...(problem ? { problem } : {}) },
});
const INPUTS: Record<string, UplinkInput> = {
  start: { i: 'start' },
  stop: { i: 'stop' },
  connected: { i: 'connected' },
  failed: { i: 'failed', jitter: 0.5 },
  closed: { i: 'closed', jitter: 0.5 },
  'position same epoch': { i: 'position', stream: 'event', epoch: EPOCH, acked: 10, head: 41 },
  'position new epoch': {
    i: 'position',
    stream: 'event',
    epoch: 'bbbbbbbbbbbb',
    acked: 0,
    head: 5,
  },
  'sent 35': { i: 'sent', stream: 'event', last: 35 },
  empty: { i: 'empty', stream: 'event' },
  'ack 9': ack(9),
  'ack 10': ack(10),
  'ack 20': ack(20),
  'ack 41': ack(41),
  'ack 10 gap': ack(10, 'gap'),
  'ack 9 gap': ack(9, 'gap'),
  'ack 10 refused': ack(10, 'refused'),
  'ack 10 fork': ack(10, 'fork'),
  'ack other epoch': { i: 'ack', ack: { stream: 'event', epoch: 'cccccccccccc', through: 40 } },
  tick: { i: 'tick' },
};

function describeLane({
  acked,
  sent,
  head,
  in_flight,
  window,
  records,
  due,
  held,
  rewound_at,
  strikes,
}: LaneState): string {
  const facts = [
    `${acked}/${sent}/${head}`,
    `w${window}x${records}`,
    `fly[${in_flight.map(({ last }) => last).join(' ')}]`,
  ];
  if (due !== null) facts.push(`due+${due - NOW}`);
  if (held) facts.push('held');
  if (rewound_at !== null) facts.push(`rewound@${rewound_at}`);
  if (strikes > 0) facts.push(`strikes ${strikes}`);
  return facts.join(' ');
}

function describeStep(before: UplinkState, input: UplinkInput): string {
  const { next, effects } = stepUplink(before, input, NOW);
  const shown = effects.map((effect) => {
    if (effect.e === 'send')
      return `send ${effect.stream} after ${effect.after}, ${effect.records} at most`;
    return effect.e === 'acknowledge'
      ? `acknowledge ${effect.ack.through} ${effect.ack.problem ?? ''}`.trim()
      : effect.e;
  });
  if (next === before && effects.length === 0) return '-';
  const phase = next.phase.p === 'waiting' ? `waiting ${next.phase.until - NOW} ms` : next.phase.p;
  return `${phase}; ${describeLane(next.lanes.event)}${shown.length > 0 ? `; ${shown.join(', ')}` : ''}`;
}

test('every state with every input', async () => {
  const lines = Object.entries(STATES).flatMap(([name, before]) => [
    `${name}: ${describeLane(before.lanes.event)}`,
    ...Object.entries(INPUTS).map(
      ([input_name, input]) => `  ${input_name} -> ${describeStep(before, input)}`,
    ),
  ]);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('session.table.txt');
});

describe('waiting between sessions', () => {
  test('doubles from half a second to a minute and begins again only after a session that lived', () => {
    let now = monoMs(0);
    let at = stepUplink(initialUplink({ event: idle, sample: idle }), { i: 'start' }, now).next;
    const waits: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      at = stepUplink(at, { i: 'failed', jitter: 0.999_999 }, now).next;
      waits.push((wakeAt(at) ?? 0) - now);
      now = wakeAt(at) ?? now;
      at = stepUplink(at, { i: 'tick' }, now).next;
    }
    expect(waits).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000,
    ]);
    const dropAfter = (lived_ms: number) => {
      const up = stepUplink(at, { i: 'connected' }, now).next;
      const later = monoMs(now + lived_ms);
      const down = stepUplink(up, { i: 'closed', jitter: 0 }, later).next;
      return (wakeAt(down) ?? 0) - later;
    };
    expect(dropAfter(29_999)).toBe(30_000);
    expect(dropAfter(30_000)).toBe(250);
  });
});

describe('window', () => {
  test('grows with answers to eight large messages and falls to a small probe when they fail to come', () => {
    let at = state({ lanes: { event: lane({ head: 1_000 }), sample: idle } });
    let now = NOW;
    let sent = 0;
    const run = (input: UplinkInput) => {
      let step = stepUplink(at, input, now);
      for (
        let send = step.effects.find(({ e }) => e === 'send');
        send?.e === 'send';
        send = step.effects.find(({ e }) => e === 'send')
      ) {
        sent += 1;
        step = stepUplink(step.next, { i: 'sent', stream: 'event', last: send.after + 1 }, now);
      }
      at = step.next;
    };
    run({ i: 'tick' });
    expect(sent).toBe(2);
    for (let through = 11; through < 31; through += 1) {
      now = monoMs(now + 10);
      run(ack(through));
      run({ i: 'position', stream: 'event', epoch: EPOCH, acked: through, head: 1_000 });
    }
    expect(at.lanes.event).toMatchObject({ in_flight: { length: 8 }, records: 256 });
    const before = sent;
    const waits: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      waits.push((wakeAt(at) ?? 0) - now);
      now = wakeAt(at) ?? now;
      run({ i: 'tick' });
    }
    expect(sent).toBe(before + 5);
    expect(at.lanes.event).toMatchObject({ in_flight: { length: 1 }, records: 16 });
    expect(waits).toEqual([5_000, 10_000, 20_000, 20_000, 20_000]);
  });
});

test('samples wait until every event was sent; refused events do not keep them', () => {
  const sends = (event: LaneState) => {
    const at = state({ lanes: { event, sample: lane() } });
    return stepUplink(at, { i: 'tick' }, NOW).effects.map((effect) =>
      effect.e === 'send' ? effect.stream : effect.e,
    );
  };
  const in_flight = flight(20, 30);
  const due = monoMs(NOW + 1);
  expect(sends(lane({ sent: 30, in_flight, window: 2, due }))).toEqual([]);
  expect(sends(lane({ sent: 40, in_flight, window: 2, due }))).toEqual(['sample']);
  expect(sends(lane({ sent: 10, held: true, due }))).toEqual(['sample']);
});
