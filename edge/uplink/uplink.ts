/** Joins a station's outbox and its transport: performs what the session machine decides, one thing after another. */
import type { Command } from '@waystation/protocol/commands';
import { STREAMS, type Stream } from '@waystation/protocol/topics';
import { UPLINK_BYTES_MAX, type StationPresence } from '@waystation/protocol/uplink';
import type { Clock, Timer } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { outageLog, type Log } from '@waystation/runtime/log';
import type { Outbox, UplinkSession, UplinkTransport } from '../ports.ts';
import {
  initialLane,
  initialUplink,
  stepUplink,
  wakeAt,
  type UplinkEffect,
  type UplinkInput,
} from './session.ts';

type Birth = Extract<StationPresence, { state: 'online' }>;

export interface UplinkOptions {
  outbox: Outbox;
  transport: UplinkTransport;
  clock: Clock;
  random: () => number;
  log: Log;
  /** What the birth tells of the station. */
  about: () => Pick<Birth, 'software' | 'key_set_version' | 'status_list_version'>;
  /** Resolves when the command is journalled: only then the broker may forget it. */
  onCommand: (command: Command) => Promise<void>;
  /** A session began: the station appends its snapshot. */
  onLive?: () => void;
  onDown?: (reason: string) => void;
}

export interface UplinkCounters {
  sessions: number;
  failed_connects: number;
  messages_sent: number;
  records_sent: number;
  acks: number;
}

export interface Uplink {
  readonly live: boolean;
  counters(): Readonly<UplinkCounters>;
  /** Says goodbye and ends; the outbox stays open. */
  stop(): Promise<void>;
}

/** The envelope (epoch, hash, offsets) comes on top of the records' bytes. */
const ENVELOPE_BYTES = 4 * 1024;
const BYTES_MAX = UPLINK_BYTES_MAX - ENVELOPE_BYTES;

function sessionId(random: () => number): string {
  const part = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return part() + part();
}

export function startUplink(options: UplinkOptions): Uplink {
  const { outbox, transport, clock, random, log } = options;
  const counters: UplinkCounters = {
    sessions: 0,
    failed_connects: 0,
    messages_sent: 0,
    records_sent: 0,
    acks: 0,
  };
  const outage = outageLog(log, clock, 'uplink.lost', 'uplink.live');
  const inputs: UplinkInput[] = [];
  let state = initialUplink({
    event: initialLane(outbox.position('event')),
    sample: initialLane(outbox.position('sample')),
  });
  let session: UplinkSession | null = null;
  let attempt = 0;
  let running = false;
  let ending: Promise<void> = Promise.resolve();
  let timer: Timer | null = null;

  const feed = (input: UplinkInput) => {
    inputs.push(input);
    if (running) return;
    running = true;
    for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
      const step = stepUplink(state, next, clock.mono());
      state = step.next;
      inputs.unshift(...step.effects.flatMap(perform)); // first, or a message would be read and sent twice
    }
    running = false;
    timer?.stop();
    const wake = wakeAt(state);
    timer =
      wake === null
        ? null
        : clock.after(Math.max(0, wake - clock.mono()), () => feed({ i: 'tick' }));
  };
  const position = (stream: Stream): UplinkInput => ({
    i: 'position',
    stream,
    ...outbox.position(stream),
  });

  /** What the machine must hear of the effect before anything else. */
  const perform = (effect: UplinkEffect): UplinkInput[] => {
    switch (effect.e) {
      case 'connect':
        connect();
        return [];
      case 'end':
        ending = session?.end() ?? Promise.resolve();
        session = null;
        return [];
      case 'send':
        return send(effect.stream, effect.after, effect.records);
      case 'acknowledge':
        counters.acks += 1;
        outbox.acknowledge(effect.ack);
        return STREAMS.map(position);
      default:
        return effect satisfies never;
    }
  };

  const send = (stream: Stream, after: number, records: number): UplinkInput[] => {
    const read = outbox.read(stream, after, { records, bytes: BYTES_MAX });
    if (read === null || session === null) return [{ i: 'empty', stream }, position(stream)];
    session.send(stream, read.message);
    counters.messages_sent += 1;
    counters.records_sent += read.message.records.length;
    return [{ i: 'sent', stream, last: read.last }];
  };

  const connect = () => {
    attempt += 1;
    const mine = attempt;
    const birth: Birth = {
      state: 'online',
      session: sessionId(random),
      at: clock.wall(),
      ...options.about(),
    };
    transport.connect(birth).then(
      (opened) => {
        if (mine === attempt && state.phase.p === 'connecting') attach(opened);
        else ending = opened.end();
      },
      (error: unknown) => {
        counters.failed_connects += 1;
        outage.failed({ code: isFault(error) ? error.code : 'UPLINK_LOST', reason: String(error) });
        feed({ i: 'failed', jitter: random() });
      },
    );
  };

  const attach = (opened: UplinkSession) => {
    session = opened;
    counters.sessions += 1;
    opened.onAck((ack) => {
      if (session === opened) feed({ i: 'ack', ack });
    });
    opened.onCommand(options.onCommand);
    opened.onClosed((reason) => {
      if (session !== opened) return;
      session = null;
      outage.failed({ code: 'UPLINK_LOST', reason });
      feed({ i: 'closed', jitter: random() });
      options.onDown?.(reason);
    });
    outage.worked();
    for (const stream of STREAMS) feed(position(stream));
    feed({ i: 'connected' });
    options.onLive?.();
  };

  outbox.onAppend((stream) => feed(position(stream)));
  feed({ i: 'start' });
  return {
    get live() {
      return state.phase.p === 'live';
    },
    counters: () => ({ ...counters }),
    async stop() {
      attempt += 1;
      feed({ i: 'stop' });
      timer?.stop();
      await ending;
    },
  };
}
