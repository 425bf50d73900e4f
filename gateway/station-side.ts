/** The two ways to reach stations, as the rest of the gateway sees them: its own broker, or an external one. */
import type { Command } from '@waystation/protocol/commands';
import { StationPresence, type Ack } from '@waystation/protocol/uplink';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Stream } from '@waystation/protocol/topics';
import type { PresenceInput } from './presence.ts';

/** What comes up. Called in the order of arrival, never after `stop`. */
export interface StationListener {
  /** The payload is not read here: it is the cloud's to judge. It is not copied either. */
  uplink(station: StationCode, stream: Stream, topic: string, payload: Uint8Array): void;
  presence(station: StationCode, event: PresenceInput): void;
}

export interface StationSide {
  /** QoS 0: false when the station is not here; it will ask again by sending again. */
  sendAck(station: StationCode, ack: Ack): boolean;
  /** QoS 1: false when the station is not here. The station's own result record is the only answer. */
  sendCommand(station: StationCode, command: Command): boolean;
  /** Hears nothing more; acknowledgements can still be sent. */
  deafen(): void;
  stop(): Promise<void>;
  ready(): boolean;
  readonly ports: Record<string, number>;
  readonly connections: number;
  /** Of those, how many wait to be greeted. */
  readonly waiting: number;
}

/** The presence in a message to a state topic, or `null` when it is not one. */
export function readPresence(payload: Buffer | string): StationPresence | null {
  let json: unknown;
  try {
    json = JSON.parse(payload.toString());
  } catch {
    return null;
  }
  return StationPresence.safeParse(json).data ?? null;
}
