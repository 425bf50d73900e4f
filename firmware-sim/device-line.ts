/** The same hardware without any pty: on lines in memory, for the fleet and for tests of the agent's core. */
import { memoryLinePair } from '@waystation/edge/bus/memory-line';
import type { ByteLine } from '@waystation/edge/ports';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { createStation, type StationHardware } from './station.ts';
import type { DoorTiming } from './world.ts';

export interface MemoryStation {
  hardware: StationHardware;
  /** The agent's ends. */
  field_bus: ByteLine;
  reader: ByteLine;
}

export function memoryStation(parts: {
  code: StationCode;
  clock: Clock;
  random: () => number;
  walk_in?: boolean;
  timing?: Readonly<DoorTiming>;
}): MemoryStation {
  const bus = memoryLinePair(parts.clock);
  const reader = memoryLinePair(parts.clock);
  const hardware = createStation({ ...parts, bus: bus.device, reader: reader.device });
  return { hardware, field_bus: bus.agent, reader: reader.agent };
}
