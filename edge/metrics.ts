/** What an agent and its parts count, as one table for /metrics. */
import type { Agent } from './agent.ts';
import type { DurationMetric, Metric } from './health.ts';
import type { Outbox } from './ports.ts';

export interface MeteredParts {
  agent: Agent;
  outbox: Outbox;
  /** Counters of the adapters; what is not a number is left out. */
  outbox_counters(): object;
  outbox_bytes(): number;
  bus_counters(): object;
  reader_counters(): object;
}

export function agentMetrics(parts: MeteredParts): readonly (Metric | DurationMetric)[] {
  const { agent, outbox } = parts;
  const { door, desk, journal } = agent;
  const status = agent.status();
  const waiting = (['event', 'sample'] as const).map((stream) => {
    const { head, acked } = outbox.position(stream);
    return [`stream="${stream}"`, head - acked] as const;
  });
  const answers = [...door.metrics.answers].map(
    ([outcome, count]) => [`outcome="${outcome}"`, count] as const,
  );
  return [
    histogram(
      'door_scan_to_coil_seconds',
      'Last byte of the scan to the lock frame on the line, the event durable.',
      door.metrics.scan_to_coil_ms,
    ),
    histogram(
      'door_answer_seconds',
      'Last byte of the scan to the answer at the reader, the lock confirmed.',
      door.metrics.answer_ms,
    ),
    {
      name: 'waystation_edge_door_answers_total',
      help: 'Requests at the door by outcome.',
      type: 'counter',
      values: answers,
    },
    counter(
      'door_scans_dropped_total',
      'Scans that came faster than they could be decided.',
      door.metrics.scans_dropped,
    ),
    counter(
      'door_lock_failures_total',
      'Lock commands that were not confirmed.',
      door.metrics.lock_failures,
    ),
    counter(
      'door_undurable_decisions_total',
      'Decisions taken while no event could be written.',
      door.metrics.undurable_decisions,
    ),
    gauge('door_state', 'The door, 1 for the state it is in.', [
      [`state="${door.view().portal}"`, 1],
    ]),
    counters('commands_total', 'Orders and trust updates by result.', desk.counters),
    gauge('journal_held', 'Events held in memory because the disk refuses them.', [
      ['', journal.counters().held],
    ]),
    counter(
      'journal_lost_total',
      'Events that memory could not hold either.',
      journal.counters().lost,
    ),
    gauge('outbox_waiting_records', 'Records not yet acknowledged by the cloud.', waiting),
    gauge('outbox_bytes', 'Bytes in use in the outbox file.', [['', parts.outbox_bytes()]]),
    counters('outbox_total', 'What the outbox did.', parts.outbox_counters()),
    gauge('uplink_live', '1 while a session with the gateway lives.', [
      ['', status.uplink_live ? 1 : 0],
    ]),
    counters('uplink_total', 'What the uplink did.', agent.uplinkCounters() ?? {}),
    counters('field_bus_total', 'What happened on the RS-485 line.', parts.bus_counters()),
    counters('reader_total', 'What the QR reader sent.', parts.reader_counters()),
    gauge(
      'device_online',
      '1 while the device answers.',
      Object.entries(status.devices).map(([device, online]) => [
        `device="${device}"`,
        online ? 1 : 0,
      ]),
    ),
    gauge('resident_memory_bytes', 'Resident memory of the process.', [
      ['', process.memoryUsage.rss()],
    ]),
  ];
}

const PREFIX = 'waystation_edge_';

function histogram(
  name: string,
  help: string,
  source: { snapshot(): DurationMetric['histogram'] },
): DurationMetric {
  return { name: PREFIX + name, help, type: 'histogram', histogram: source.snapshot() };
}
function counter(name: string, help: string, value: number): Metric {
  return { name: PREFIX + name, help, type: 'counter', values: [['', value]] };
}
function counters(name: string, help: string, source: object): Metric {
  const values = Object.entries(source).flatMap(([kind, value]) =>
    typeof value === 'number' ? [[`kind="${kind}"`, value] as const] : [],
  );
  return { name: PREFIX + name, help, type: 'counter', values };
}
function gauge(name: string, help: string, values: Metric['values']): Metric {
  return { name: PREFIX + name, help, type: 'gauge', values };
}
