/** How a station's status looks: one table of word, colour and shape, so that colour alone never carries it. */
import type { StationStatus } from '@waystation/protocol/api';

/** In the order of the digits of `/stations/states`; held to the protocol's list by the compiler and a test. */
export const STATUSES = [
  'unknown',
  'open',
  'inUse',
  'closed',
  'offline',
  'alarm',
] as const satisfies readonly StationStatus[];

export type Shape = 'circle' | 'half' | 'ring' | 'triangle' | 'square' | 'dot';

export interface StatusLook {
  shape: Shape;
  light: string;
  dark: string;
}

/** Red is the unions' own colour, so an alarm is a square and a word as well. */
export const STATUS_LOOKS: Readonly<Record<StationStatus, StatusLook>> = {
  unknown: { shape: 'dot', light: '#868e96', dark: '#868e96' },
  open: { shape: 'circle', light: '#2b8a3e', dark: '#51cf66' },
  inUse: { shape: 'half', light: '#1864ab', dark: '#4dabf7' },
  closed: { shape: 'ring', light: '#5c5f66', dark: '#adb5bd' },
  offline: { shape: 'triangle', light: '#b35c00', dark: '#ffa94d' },
  alarm: { shape: 'square', light: '#c92a2a', dark: '#ff6b6b' },
};

export function statusOf(digit: number): StationStatus {
  return STATUSES[digit] ?? 'unknown';
}
