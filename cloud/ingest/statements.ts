/** The SQL of one ingest transaction. Every batch is one jsonb parameter; rows are written in key order. */

/** Locks every epoch of these streams, in key order, until the transaction ends. */
export const LOCK_CURSORS = `
  select station_id, epoch, generation, through::float8 as through, last_hash
  from stream_cursor where station_id = any($1::int4[]) and stream = $2
  order by station_id, generation for update`;

/** New epochs. Returns how many: fewer than asked means that another process was faster. */
export const INSERT_CURSORS = `
  insert into stream_cursor (station_id, stream, epoch, generation, through, last_hash, first_seen, last_seen)
  select r.s, $2, r.e, r.g, r.t, r.h, $3, $3
  from jsonb_to_recordset($1::jsonb) as r(s int4, e text, g int4, t int8, h text)
  order by 1, 3 on conflict do nothing`;

/** Known epochs, locked before. Written as an upsert: it always goes by the key, where UPDATE … FROM may scan the table. */
export const UPDATE_CURSORS = `
  insert into stream_cursor (station_id, stream, epoch, generation, through, last_hash, first_seen, last_seen)
  select r.s, $2, r.e, r.g, r.t, r.h, $3, $3
  from jsonb_to_recordset($1::jsonb) as r(s int4, e text, g int4, t int8, h text)
  on conflict (station_id, stream, epoch) do update set through = excluded.through, last_hash = excluded.last_hash,
    last_seen = excluded.last_seen`;

export const INSERT_EVENTS = `
  insert into event (station_id, generation, seq, kind, at, received_at, clock, band, body)
  select r.s, r.g, r.q, r.k, to_timestamp(r.a / 1000.0), $2, r.c, r.b, r.r
  from jsonb_to_recordset($1::jsonb) as r(s int4, g int4, q int8, k text, a int8, c text, b text, r jsonb)`;

/** Stored events whose body differs from what the station says now under the same number. */
export const COMPARE_EVENTS = `
  select e.station_id, e.seq::float8 as seq
  from jsonb_to_recordset($1::jsonb) as r(s int4, g int4, q int8, r jsonb)
  join event e on e.station_id = r.s and e.generation = r.g and e.seq = r.q
  where e.body <> r.r`;

/** Under the cursor's lock an event of the current epoch is newer than the state; the plan leaves older epochs out. */
export const APPLY_EVENTS = `
  insert into station_state as s (station_id, generation, seq, snapshot_seq, event_at, portal, portal_at, mode,
    room, room_at, clock, inputs, devices, software, key_set_version, status_list_version, values, values_at,
    last_record_at, last_received_at)
  select r.station_id, r.generation, r.seq, r.snapshot_seq, to_timestamp(r.event_at / 1000.0), r.portal,
    to_timestamp(r.portal_at / 1000.0), r.mode, r.room, to_timestamp(r.room_at / 1000.0), r.clock, r.inputs,
    r.devices, r.software, r.key_set_version, r.status_list_version, coalesce(r.values, '{}'),
    case when r.snapshot_seq is not null then to_timestamp(r.event_at / 1000.0) end,
    to_timestamp(r.event_at / 1000.0), to_timestamp(r.received_at / 1000.0)
  from jsonb_to_recordset($1::jsonb) as r(station_id int4, generation int4, seq int8, snapshot_seq int8,
    event_at int8, portal text, portal_at int8, mode text, room text, room_at int8, clock text, inputs jsonb,
    devices jsonb, software text, key_set_version int4, status_list_version int4, values jsonb, received_at int8)
  order by r.station_id
  on conflict (station_id) do update set
    generation = excluded.generation, seq = excluded.seq, event_at = excluded.event_at, clock = excluded.clock,
    snapshot_seq = coalesce(excluded.snapshot_seq, s.snapshot_seq),
    portal = coalesce(excluded.portal, s.portal), portal_at = coalesce(excluded.portal_at, s.portal_at),
    mode = coalesce(excluded.mode, s.mode),
    room = coalesce(excluded.room, s.room), room_at = coalesce(excluded.room_at, s.room_at),
    inputs = case when excluded.snapshot_seq is null then s.inputs || excluded.inputs else excluded.inputs end,
    devices = case when excluded.snapshot_seq is null then s.devices || excluded.devices else excluded.devices end,
    software = coalesce(excluded.software, s.software),
    key_set_version = coalesce(excluded.key_set_version, s.key_set_version),
    status_list_version = coalesce(excluded.status_list_version, s.status_list_version),
    values = case when excluded.values_at >= coalesce(s.values_at, '-infinity') then excluded.values else s.values end,
    values_at = greatest(s.values_at, excluded.values_at),
    last_record_at = greatest(s.last_record_at, excluded.last_record_at),
    last_received_at = excluded.last_received_at`;

/** Values older than the newest known ones leave them as they are. */
export const APPLY_REPORTS = `
  insert into station_state as s (station_id, values, values_at, last_record_at, last_received_at)
  select r.station_id, r.values, to_timestamp(r.values_at / 1000.0), to_timestamp(r.values_at / 1000.0),
    to_timestamp(r.received_at / 1000.0)
  from jsonb_to_recordset($1::jsonb) as r(station_id int4, values jsonb, values_at int8, received_at int8)
  order by r.station_id
  on conflict (station_id) do update set
    values = case when excluded.values_at >= coalesce(s.values_at, '-infinity')
      then s.values || excluded.values else s.values end,
    values_at = greatest(s.values_at, excluded.values_at),
    last_record_at = greatest(s.last_record_at, excluded.last_record_at),
    last_received_at = excluded.last_received_at`;

export const COUNT_USAGE = `
  insert into usage_daily as u (station_id, day, openings, denials)
  select r.s, r.d, r.o, r.n from jsonb_to_recordset($1::jsonb) as r(s int4, d date, o int4, n int4)
  order by 1, 2
  on conflict (station_id, day) do update set openings = u.openings + excluded.openings,
    denials = u.denials + excluded.denials`;

/** Forwards only: received, then one final word. `sent` and `unknown` give way to the station's word. */
export const ANSWER_COMMANDS = `
  update command c set status = r.status, reason = coalesce(r.reason, c.reason),
    answered_at = to_timestamp(r.at / 1000.0)
  from jsonb_to_recordset($1::jsonb) as r(station_id int4, id text, status text, reason text, at int8)
  where c.id = r.id and c.station_id = r.station_id
    and (c.status in ('sent', 'unknown') or (c.status = 'received' and r.status <> 'received'))
  returning c.id`;

export const RAISE_FAULTS = `
  insert into stream_fault as f (station_id, stream, epoch, kind, seq, span, detail, from_at, to_at, first_at, last_at)
  select r.station_id, $2, r.epoch, r.kind, r.seq, r.span, r.detail, to_timestamp(r.from_at / 1000.0),
    to_timestamp(r.to_at / 1000.0), $3, $3
  from jsonb_to_recordset($1::jsonb) as r(station_id int4, epoch text, kind text, seq int8, span int8, detail text,
    from_at int8, to_at int8)
  order by r.station_id, r.epoch, r.kind, r.seq
  on conflict (station_id, stream, epoch, kind, seq) do update set last_at = excluded.last_at, times = f.times + 1`;

export const WRITE_DEAD_LETTERS = `
  insert into dead_letter (station_id, topic, epoch, seq, reason, payload, received_at)
  select r.station_id, r.topic, r.epoch, r.seq, r.reason, r.payload, $2
  from jsonb_to_recordset($1::jsonb) as r(station_id int4, topic text, epoch text, seq int8, reason text, payload text)`;

export const APPEND_BACKLOG =
  'insert into telemetry_backlog (points, count, received_at) values ($1, $2, $3)';
