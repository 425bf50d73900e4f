/** What a run of records changes in a station's known state, folded to one row a station. Pure. */
import type {
  ClockQuality,
  DoorMode,
  EventRecord,
  PortalState,
  RoomState,
} from '@waystation/protocol/records';
import { MEASUREMENT_NAMES, type MeasurementName } from '@waystation/protocol/registers';
import type { StateDevices, StateInputs, StateValues } from '../database/schema.ts';

/** Times in ms. What is absent stays as it is; `snapshot_seq` present: inputs, devices and values replace, not merge. */
export interface EventPatch {
  station_id: number;
  generation: number;
  seq: number;
  snapshot_seq?: number;
  event_at: number;
  portal?: PortalState;
  portal_at?: number;
  mode?: DoorMode;
  room?: RoomState | null;
  room_at?: number;
  clock: ClockQuality;
  inputs: StateInputs;
  devices: StateDevices;
  software?: string;
  key_set_version?: number;
  status_list_version?: number;
  values?: StateValues;
  received_at: number;
}

export interface SamplePatch {
  station_id: number;
  values: StateValues;
  values_at: number;
  received_at: number;
}

export interface FoldedEvent {
  station_id: number;
  generation: number;
  seq: number;
  at: number;
  clock: ClockQuality;
  received_at: number;
  record: EventRecord;
}

/** `patch` is changed in place and returned; the records must come in the order of their stream. */
export function foldEvent(patch: EventPatch | undefined, event: FoldedEvent): EventPatch {
  const { station_id, generation, seq, at, clock, received_at, record } = event;
  const next: EventPatch = patch ?? {
    station_id,
    generation,
    seq,
    event_at: at,
    clock,
    inputs: {},
    devices: {},
    received_at,
  };
  Object.assign(next, { generation, seq, event_at: at, clock, received_at });
  switch (record.kind) {
    case 'snapshot':
      return Object.assign(next, {
        snapshot_seq: seq,
        portal: record.portal,
        portal_at: at,
        mode: record.mode,
        room: record.room ?? null,
        room_at: at,
        inputs: record.inputs,
        devices: record.devices,
        software: record.software,
        key_set_version: record.key_set_version,
        status_list_version: record.status_list_version,
        values: stampValues(record.values, at),
      });
    case 'door':
      return Object.assign(next, { portal: record.to, portal_at: at });
    case 'mode':
      return Object.assign(next, { mode: record.mode });
    case 'room':
      return Object.assign(next, { room: record.state, room_at: at });
    case 'input':
      return Object.assign(next, { inputs: { ...next.inputs, [record.input]: record.active } });
    case 'device':
      return Object.assign(next, { devices: { ...next.devices, [record.device]: record.online } });
    case 'started':
      return Object.assign(next, { software: record.software });
    case 'clock':
      return Object.assign(next, { clock: record.quality });
    case 'trust':
      return Object.assign(next, {
        key_set_version: record.key_set_version,
        status_list_version: record.status_list_version,
      });
    case 'access':
    case 'command':
    case 'epoch':
      return next;
    default:
      return record satisfies never;
  }
}

/** Reports merge; one that is older than what is known adds nothing. */
export function foldReport(
  patch: SamplePatch | undefined,
  report: { station_id: number; at: number; received_at: number; values: ParsedValues },
): SamplePatch {
  const { station_id, at, received_at } = report;
  if (patch === undefined) {
    return { station_id, values: stampValues(report.values, at), values_at: at, received_at };
  }
  patch.received_at = received_at;
  if (at < patch.values_at) return patch;
  Object.assign(patch.values, stampValues(report.values, at));
  patch.values_at = at;
  return patch;
}

type ParsedValues = { readonly [N in MeasurementName]?: number | undefined };

function stampValues(values: ParsedValues, at: number): StateValues {
  const stamped: StateValues = {};
  for (const name of MEASUREMENT_NAMES) {
    const value = values[name];
    if (value !== undefined) stamped[name] = { value, at };
  }
  return stamped;
}
