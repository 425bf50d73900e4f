/** A bounded rate of beginnings: ten thousand stations that start, or come back, do not do it in one second. */
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { UplinkTransport } from '@waystation/edge/ports';

export interface ConnectGate {
  /** Resolves when it is this caller's turn. Rejects with Fault UPLINK_LOST when the fleet ends. */
  pass(): Promise<void>;
}

/** A busy machine wakes late; turns missed within this time are made up for at once. */
const CATCH_UP_MS = 1_000;

/** Turns are given in order, `1 / per_s` apart; every station waits for one turn at most, so the queue has their number as limit. */
export function connectGate(clock: Clock, per_s: number, ending: AbortSignal): ConnectGate {
  const spacing_ms = 1_000 / per_s;
  let next_at: number = clock.mono();
  return {
    async pass() {
      const now = clock.mono();
      const at = Math.max(now - CATCH_UP_MS, next_at);
      next_at = at + spacing_ms;
      // Also a turn that is due waits for the loop to come round: whoever begins must not starve those who began.
      await clock.sleep(Math.max(0, at - now), ending);
      if (ending.aborted) throw new Fault('UPLINK_LOST', { reason: 'the fleet ends' });
    },
  };
}

/** The same transport, each connection waiting for its turn. */
export function gatedTransport(transport: UplinkTransport, gate: ConnectGate): UplinkTransport {
  return {
    async connect(birth) {
      await gate.pass();
      return transport.connect(birth);
    },
  };
}
