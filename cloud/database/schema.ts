/** The tables as types, as the migrations made them: what pg and PGlite return (bigint as text, timestamptz as Date). */
import type { Generated, JSONColumnType } from 'kysely';
import type { ColumnType } from 'kysely';
import type { CommandStatus } from '@waystation/protocol/commands';
import type {
  ClockQuality,
  Device,
  DoorMode,
  EventRecord,
  PortalState,
  RoomState,
} from '@waystation/protocol/records';
import type { InputName, MeasurementName } from '@waystation/protocol/registers';
import type { StationCode, StationKind } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { Role } from '@waystation/protocol/api';

/** 64-bit: text when read, number or text when written. */
type Bigint = ColumnType<string, number | string, number | string>;
type GeneratedBigint = ColumnType<string, never, never>;
/** A jsonb column: an object when read, JSON text when written (always JSON.stringify it yourself). */
type Json<T extends object> = JSONColumnType<T>;

export interface OrganisationTable {
  id: Generated<number>;
  parent: number | null;
  level: 'province' | 'city' | 'county' | 'township';
  adcode: string;
  name: string;
  path: string;
}

export interface StationTable {
  id: Generated<number>;
  code: StationCode;
  name: string;
  kind: StationKind;
  organisation_id: number;
  address: Generated<string>;
  longitude: number;
  latitude: number;
  seats: Generated<number>;
  capacity: Generated<number>;
  lifecycle: Generated<'planned' | 'active' | 'suspended' | 'retired'>;
  created_at: Generated<Date>;
}

export interface StationPresenceTable {
  station_id: number;
  online: boolean;
  session: string;
  gateway: string;
  since: Date;
  seen_at: Date;
  clean: boolean | null;
}

export type StateInputs = Partial<Record<InputName, boolean>>;
export type StateDevices = Partial<Record<Device, boolean>>;
/** `at`: wall time in ms. */
export type StateValues = Partial<Record<MeasurementName, { value: number; at: number }>>;

export interface StationStateTable {
  station_id: number;
  generation: Generated<number>;
  seq: ColumnType<string, number | undefined, number>;
  snapshot_seq: ColumnType<string | null, number | null | undefined, number | null>;
  event_at: Date | null;
  portal: PortalState | null;
  portal_at: Date | null;
  mode: DoorMode | null;
  room: RoomState | null;
  room_at: Date | null;
  clock: ClockQuality | null;
  inputs: Json<StateInputs>;
  devices: Json<StateDevices>;
  software: string | null;
  key_set_version: number | null;
  status_list_version: number | null;
  values: Json<StateValues>;
  values_at: Date | null;
  last_record_at: Date | null;
  last_received_at: Date | null;
}

export interface StreamCursorTable {
  station_id: number;
  stream: Stream;
  epoch: string;
  generation: number;
  through: Bigint;
  last_hash: string | null;
  first_seen: Date;
  last_seen: Date;
}

/** How late a record came; only `live` and `grace` may page anybody. */
export type Band = 'live' | 'grace' | 'late' | 'archive';

export interface EventTable {
  station_id: number;
  generation: number;
  seq: Bigint;
  kind: EventRecord['kind'];
  at: Date;
  received_at: Date;
  clock: ClockQuality;
  band: Band;
  body: Json<EventRecord>;
}

export interface UsageDailyTable {
  station_id: number;
  /** Calendar day in Asia/Shanghai. Read it as text: to_char(day, 'YYYY-MM-DD'). */
  day: ColumnType<Date, string, string>;
  openings: Generated<number>;
  denials: Generated<number>;
}

export interface DeadLetterTable {
  id: GeneratedBigint;
  station_id: number | null;
  topic: string;
  epoch: string | null;
  seq: ColumnType<string | null, number | null, number | null>;
  reason: string;
  payload: string;
  received_at: Date;
}

export interface StreamFaultTable {
  id: GeneratedBigint;
  station_id: number;
  stream: Stream;
  epoch: string;
  kind: 'fork' | 'clone' | 'epoch' | 'gap';
  seq: Bigint;
  span: Bigint;
  detail: Generated<string>;
  from_at: Date | null;
  to_at: Date | null;
  first_at: Date;
  last_at: Date;
  times: Generated<number>;
}

export interface TelemetryBacklogTable {
  id: GeneratedBigint;
  received_at: Date;
  count: number;
  points: string;
}

export type TelemetryTable = { station_id: number; at: Date; organisation_id: number } & Record<
  MeasurementName,
  number | null
>;

export interface AccountTable {
  id: Generated<number>;
  name: string;
  password_hash: string;
  role: Role;
  organisation_id: number;
  disabled_at: Date | null;
  created_at: Generated<Date>;
}

export interface SessionTable {
  token_hash: string;
  account_id: number;
  created_at: Date;
  expires_at: Date;
  last_seen_at: Date;
}

export interface CommandTable {
  id: string;
  station_id: number;
  kind: string;
  body: Json<object>;
  status: CommandStatus;
  reason: string | null;
  actor: string;
  issued_at: Date;
  deadline_at: Date;
  answered_at: Date | null;
}

export interface MemberTable {
  id: Generated<number>;
  name: string;
  organisation_id: number;
  created_at: Generated<Date>;
  left_at: Date | null;
}

export interface CardTable {
  index: number;
  member_id: number;
  holder_key: Buffer;
  rights: number;
  issued_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  revoked_reason: string | null;
}

export interface AuditLogTable {
  id: GeneratedBigint;
  at: Date;
  actor: string;
  action: string;
  subject: string;
  detail: Json<object>;
  previous_hash: string;
  hash: string;
}

export interface SettingTable {
  name: string;
  value: ColumnType<unknown, string, string>;
  changed_at: Date;
}

export interface CloudProcessTable {
  id: string;
  seen_at: Generated<Date>;
}

export interface GatewayStreamTable {
  cloud: string;
  reach: string;
}

export interface BulletinTable {
  id: GeneratedBigint;
  cloud: string;
  at: Generated<Date>;
  body: ColumnType<unknown, string, never>;
}

export interface Schema {
  organisation: OrganisationTable;
  station: StationTable;
  station_presence: StationPresenceTable;
  station_state: StationStateTable;
  stream_cursor: StreamCursorTable;
  event: EventTable;
  usage_daily: UsageDailyTable;
  dead_letter: DeadLetterTable;
  stream_fault: StreamFaultTable;
  telemetry_backlog: TelemetryBacklogTable;
  telemetry: TelemetryTable;
  account: AccountTable;
  session: SessionTable;
  command: CommandTable;
  member: MemberTable;
  card: CardTable;
  audit_log: AuditLogTable;
  setting: SettingTable;
  cloud_process: CloudProcessTable;
  gateway_stream: GatewayStreamTable;
  bulletin: BulletinTable;
}
