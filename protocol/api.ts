/**
 * What the cloud answers under /api/v1, shared by the service (which validates with it and prints OpenAPI from it)
 * and the console (which imports the types only).
 */
import { z } from 'zod';
import { COMMAND_STATUSES } from './commands.ts';
import { CLOCK_QUALITIES, DEVICES, DOOR_MODES, PORTAL_STATES, ROOM_STATES } from './records.ts';
import { STATION_KINDS } from './station-code.ts';

/**
 * What a map shows of a station, in one byte. Order is severity: worst last.
 * unknown: nothing heard yet, or its gateway is away. An old value is never shown as current.
 */
export const STATION_STATUSES = ['unknown', 'open', 'inUse', 'closed', 'offline', 'alarm'] as const;
export type StationStatus = (typeof STATION_STATUSES)[number];

/** A line that a person wrote: no control characters, nothing that UTF-8 cannot carry. */
const line = (min: number, max: number) =>
  z
    .string()
    .min(min)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'holds a control character');
/** Number of an organisation, a member, a card. */
export const RowId = z.int().min(0).max(2_147_483_647);

export const Problem = z
  .strictObject({
    code: z.string(),
    message: z.string(),
    field: z.string().optional(),
    operator: z.string(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.output<typeof Problem>;

export const ROLES = ['viewer', 'operator', 'administrator'] as const;
export type Role = (typeof ROLES)[number];

export const Session = z
  .strictObject({
    account: z.string(),
    role: z.enum(ROLES),
    organisation: z.int(),
    organisation_name: z.string(),
    version: z.string(),
  })
  .meta({ id: 'Session' });
export type Session = z.output<typeof Session>;

/** Columns, not rows: 10,659 stations in about 110 KB gzip. Sorted by code; the position is the station's `index`. */
export const StationIndex = z
  .strictObject({
    version: z.string(),
    code: z.array(z.string()),
    name: z.array(z.string()),
    longitude: z.array(z.number()),
    latitude: z.array(z.number()),
    county: z.array(z.string()),
    kind: z.array(z.enum(STATION_KINDS)),
  })
  .meta({ id: 'StationIndex' });
export type StationIndex = z.output<typeof StationIndex>;

/** `states`: one digit a station, its place in STATION_STATUSES, in the order of the index. `sequence` continues in /live. */
export const StationStates = z
  .strictObject({ version: z.string(), sequence: z.int(), states: z.string() })
  .meta({ id: 'StationStates' });
export type StationStates = z.output<typeof StationStates>;

export const StationRow = z
  .strictObject({
    code: z.string(),
    index: z.int(),
    name: z.string(),
    kind: z.enum(STATION_KINDS),
    status: z.enum(STATION_STATUSES),
    county: z.string(),
    county_name: z.string(),
    city_name: z.string(),
    address: z.string(),
    occupancy_count: z.number().nullable(),
    seats: z.int(),
    water_level_percent: z.number().nullable(),
    /** Wall time (ms) of the newest record, null when nothing was heard yet. */
    last_record_at: z.number().nullable(),
  })
  .meta({ id: 'StationRow' });
export type StationRow = z.output<typeof StationRow>;

export const StationPage = z
  .strictObject({ total: z.int(), rows: z.array(StationRow), next: z.string().nullable() })
  .meta({ id: 'StationPage' });
export type StationPage = z.output<typeof StationPage>;

export const StationDetail = StationRow.extend({
  longitude: z.number(),
  latitude: z.number(),
  online: z.boolean(),
  online_since: z.number().nullable(),
  portal: z.enum(PORTAL_STATES).nullable(),
  mode: z.enum(DOOR_MODES).nullable(),
  room: z.enum(ROOM_STATES).nullable(),
  clock: z.enum(CLOCK_QUALITIES).nullable(),
  inputs: z.record(z.string(), z.boolean()),
  /** Newest value by measurement name, with the wall time (ms) it was taken. */
  values: z.record(z.string(), z.strictObject({ value: z.number(), at: z.number() })),
  devices: z.partialRecord(z.enum(DEVICES), z.boolean()),
  software: z.string().nullable(),
  today: z.strictObject({ openings: z.int(), denials: z.int() }),
}).meta({ id: 'StationDetail' });
export type StationDetail = z.output<typeof StationDetail>;

/** One event as a line of the station's history. Never names a person. */
export const EventLine = z
  .strictObject({
    station: z.string(),
    epoch: z.string(),
    seq: z.number(),
    kind: z.string(),
    at: z.number(),
    received_at: z.number(),
    clock: z.enum(CLOCK_QUALITIES),
    summary: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  })
  .meta({ id: 'EventLine' });
export type EventLine = z.output<typeof EventLine>;
export const EventPage = z
  .strictObject({ rows: z.array(EventLine), next: z.string().nullable() })
  .meta({ id: 'EventPage' });
export type EventPage = z.output<typeof EventPage>;

export const Series = z
  .strictObject({ measurement: z.string(), points: z.array(z.tuple([z.number(), z.number()])) })
  .meta({ id: 'Series' });
export type Series = z.output<typeof Series>;

export const OpenRequest = z
  .strictObject({ kind: z.literal('open'), reason: line(2, 200) })
  .meta({ id: 'OpenRequest' });
export type OpenRequest = z.output<typeof OpenRequest>;

export const CommandState = z
  .strictObject({
    id: z.string(),
    station: z.string(),
    kind: z.string(),
    status: z.enum(COMMAND_STATUSES),
    reason: z.string().nullable(),
    issued_at: z.number(),
    deadline_at: z.number(),
    answered_at: z.number().nullable(),
  })
  .meta({ id: 'CommandState' });
export type CommandState = z.output<typeof CommandState>;

export const OrganisationRow = z
  .strictObject({
    id: z.int(),
    parent: z.int().nullable(),
    level: z.enum(['province', 'city', 'county', 'township']),
    name: z.string(),
    adcode: z.string(),
    stations: z.int(),
    /** Stations by status, in the order of STATION_STATUSES. */
    by_status: z.array(z.int()),
  })
  .meta({ id: 'OrganisationRow' });
export type OrganisationRow = z.output<typeof OrganisationRow>;

export const UsageDay = z
  .strictObject({ day: z.string(), openings: z.int(), denials: z.int() })
  .meta({ id: 'UsageDay' });
export type UsageDay = z.output<typeof UsageDay>;

/**
 * GET /api/v1/live, unnamed server-sent events. `id:` is the sequence; after a break the browser sends Last-Event-ID and
 * nothing is missed; too old an id is answered with `resync` (fetch the states again). The first connect may say
 * `?after=` with the `sequence` of StationStates.
 */
export const LiveMessage = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('hello'),
      sequence: z.int(),
      server_at: z.number(),
      version: z.string(),
    }),
    z.strictObject({ type: z.literal('resync') }),
    /** Every 15 s without an id, so that a page can tell a quiet line from a dead one. */
    z.strictObject({ type: z.literal('beat'), server_at: z.number() }),
    /** Coalesced to one a second: pairs of index and status digit. */
    z.strictObject({ type: z.literal('states'), changes: z.array(z.tuple([z.int(), z.int()])) }),
    z.strictObject({ type: z.literal('event'), event: EventLine }),
    z.strictObject({ type: z.literal('command'), command: CommandState }),
  ])
  .meta({ id: 'LiveMessage' });
export type LiveMessage = z.output<typeof LiveMessage>;

/** POST /api/v1/members: makes a member and, with a holder key, the card. For the command-line issuer; role administrator. */
export const MemberRequest = z
  .strictObject({
    name: line(1, 60),
    organisation: RowId.optional(),
    holder_key: z.string().max(200),
  })
  .meta({ id: 'MemberRequest' });
export type MemberRequest = z.output<typeof MemberRequest>;
/** `card`: the issuer-signed card, base64. `holder_key` above: compressed P-256 point, base64. */
export const MemberCard = z
  .strictObject({ member: z.int(), index: z.int(), card: z.string(), expires_at_s: z.int() })
  .meta({ id: 'MemberCard' });
export type MemberCard = z.output<typeof MemberCard>;

/** POST /api/v1/cards/{index}/revoke; role administrator. */
export const RevokeRequest = z.strictObject({ reason: line(2, 200) }).meta({ id: 'RevokeRequest' });
export type RevokeRequest = z.output<typeof RevokeRequest>;

/** POST /api/v1/session: answers with the session's cookie. */
export const Credentials = z
  .strictObject({ account: line(1, 64), password: z.string().min(1).max(200) })
  .meta({ id: 'Credentials' });
export type Credentials = z.output<typeof Credentials>;

/** What a list of stations is searched for. */
export const SearchText = line(1, 60);
/** Wall time in ms in an address, up to the year 2100. */
export const QueryTime = z.coerce.number().int().min(0).max(4_102_444_800_000);
/** RowId in an address. */
export const QueryRowId = z.coerce.number().int().min(0).max(2_147_483_647);
