/** The agent's configuration file. */
import { LEVELS } from '@waystation/runtime/log';
import { StationCodeSchema } from '@waystation/protocol/station-code';
import { HOLDING_REGISTERS } from '@waystation/protocol/registers';
import { z } from 'zod';
import { AGENT_DEFAULTS, type AgentSettings } from './agent.ts';
import { ALWAYS_OPEN, type OpeningPolicy } from './door/opening-policy.ts';

const path = z.string().min(1);
const ms = (min: number, max: number) => z.int().min(min).max(max);
const baud = z.union([9_600, 19_200, 38_400, 57_600, 115_200].map((rate) => z.literal(rate)));

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'expected a time from 00:00 to 24:00');

/** `until` not later than `from` means the next day. */
const OpeningSpan = z.strictObject({ from: timeOfDay, until: timeOfDay });

const Opening = z.discriminatedUnion('hours', [
  z.strictObject({ hours: z.literal('always') }),
  /** Seven days from Monday on, in local time; a day without a span is closed. */
  z.strictObject({
    hours: z.literal('weekly'),
    week: z.array(z.array(OpeningSpan).max(8)).length(7),
  }),
]);

const { portal, room, access } = AGENT_DEFAULTS.door;
/** The controller ends a release by itself and knows tenths of a second. */
const RELEASE_MAX_MS = HOLDING_REGISTERS.releaseTime.max * 1000;

const DoorSection = z
  .strictObject({
    release_ms: ms(1_000, RELEASE_MAX_MS).multipleOf(100).default(portal.release_ms),
    egress_ms: ms(1_000, 60_000).default(portal.egress_ms),
    held_open_ms: ms(10_000, 3_600_000).default(portal.held_open_ms),
    pre_alarm_ms: ms(0, 3_600_000).default(portal.pre_alarm_ms),
    sounder_ms: ms(0, 600_000).default(portal.sounder_ms),
    contact_debounce_ms: ms(50, 5_000).default(portal.contact_debounce_ms),
    relatch_ms: ms(0, 10_000).default(portal.relatch_ms),
    lock_fault_ms: ms(500, 30_000).default(portal.lock_fault_ms),
    command_retry_ms: ms(200, 60_000).default(portal.command_retry_ms),
    journal_failure: z
      .enum(['fail_open', 'fail_closed'])
      .default(AGENT_DEFAULTS.door.journal_failure),
    failures_max: z.int().min(1).max(100).default(access.limit.failures),
    failures_window_ms: ms(1_000, 3_600_000).default(access.limit.window_ms),
    failures_pause_ms: ms(1_000, 3_600_000).default(access.limit.pause_ms),
  })
  .refine((door) => door.pre_alarm_ms < door.held_open_ms, {
    path: ['pre_alarm_ms'],
    error: 'must be shorter than held_open_ms',
  })
  .refine((door) => door.relatch_ms <= door.lock_fault_ms, {
    path: ['relatch_ms'],
    error: 'must not be longer than lock_fault_ms',
  });

const RoomSection = z
  .strictObject({
    entry_ms: ms(5_000, 300_000).default(room.entry_ms),
    vacant_ms: ms(1_000, 600_000).default(room.vacant_ms),
    unseen_ms: ms(30_000, 3_600_000).default(room.unseen_ms),
    session_ms: ms(60_000, 14_400_000).default(room.session_ms),
    welfare_ms: ms(60_000, 14_400_000).default(room.welfare_ms),
  })
  .refine((room) => room.session_ms < room.welfare_ms, {
    path: ['welfare_ms'],
    error: 'must be longer than session_ms',
  });

const ReportSection = z
  .strictObject({
    heartbeat_ms: ms(1_000, 3_600_000).default(AGENT_DEFAULTS.report.heartbeat_ms),
    interval_min_ms: ms(100, 3_600_000).default(AGENT_DEFAULTS.report.interval_min_ms),
    sensor_settle_ms: ms(0, 3_600_000).default(AGENT_DEFAULTS.report.sensor_settle_ms),
  })
  .refine((report) => report.interval_min_ms <= report.heartbeat_ms, {
    path: ['interval_min_ms'],
    error: 'must not be longer than heartbeat_ms',
  });

const gatewayUrl = z
  .string()
  .regex(
    /^mqtts?:\/\/[^/@]+$/,
    'expected mqtt://host:port or mqtts://host:port without credentials',
  );

export const EdgeConfig = z.strictObject({
  station: StationCodeSchema,
  /** Outbox, key set and status list; one directory belongs to one station. */
  data_dir: path,
  gateway: z
    .strictObject({
      url: gatewayUrl,
      password_file: path,
      ca_file: path.optional(),
      cert_file: path.optional(),
      key_file: path.optional(),
    })
    .refine((gateway) => (gateway.cert_file === undefined) === (gateway.key_file === undefined), {
      path: ['key_file'],
      error: 'cert_file and key_file come together',
    }),
  field_bus: z.strictObject({ path, baud: baud.default(19_200) }),
  reader: z.strictObject({ path, baud: baud.default(115_200) }),
  trust: z.strictObject({ root_keys_file: path }),
  clock: z.strictObject({ source: z.enum(['adjtimex', 'host']) }).default({ source: 'adjtimex' }),
  door: DoorSection.prefault({}),
  room: RoomSection.prefault({}),
  opening: Opening.default({ hours: 'always' }),
  report: ReportSection.prefault({}),
  outbox: z
    .strictObject({
      disk_budget_bytes: z
        .int()
        .min(1_048_576)
        .default(256 * 1024 * 1024),
    })
    .prefault({}),
  /** Absent: no health and metrics. */
  http: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.int().min(0).max(65_535),
    })
    .optional(),
  log_level: z.enum(LEVELS).default('info'),
});
export type EdgeConfig = z.output<typeof EdgeConfig>;

export const SAMPLE_CONFIG: z.input<typeof EdgeConfig> = {
  station: '370102001W0001E',
  data_dir: '/var/lib/waystation',
  gateway: {
    url: 'mqtts://gateway.example:8883',
    password_file: '/etc/waystation/station-token',
    ca_file: '/etc/waystation/gateway-ca.pem',
  },
  field_bus: { path: '/dev/ttyS1', baud: 19_200 },
  reader: { path: '/dev/ttyS2', baud: 115_200 },
  trust: { root_keys_file: '/etc/waystation/root-keys.json' },
  http: { host: '127.0.0.1', port: 9_170 },
};

/** What the agent's core needs of it. */
export function agentSettings(config: EdgeConfig): AgentSettings {
  const { journal_failure, failures_max, failures_window_ms, failures_pause_ms, ...portal } =
    config.door;
  const limit = {
    failures: failures_max,
    window_ms: failures_window_ms,
    pause_ms: failures_pause_ms,
  };
  return {
    door: {
      portal,
      room: config.room,
      access: { opening: openingPolicy(config.opening), limit },
      journal_failure,
    },
    report: config.report,
  };
}

function openingPolicy(opening: EdgeConfig['opening']): OpeningPolicy {
  if (opening.hours === 'always') return ALWAYS_OPEN;
  const week = opening.week.map((spans) =>
    spans.map(({ from, until }) => {
      const [from_minute, until_minute] = [minuteOfDay(from), minuteOfDay(until)];
      const next_day = until_minute > from_minute ? 0 : 24 * 60;
      return { from_minute, until_minute: until_minute + next_day };
    }),
  );
  return { hours: 'weekly', week };
}

function minuteOfDay(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
}
