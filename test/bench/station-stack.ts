/** The demo station with its cloud and gateway, for a benchmark: its own directory and ports, no fleet beside it. */
import { startStack, type Stack } from '@waystation/scripts/local/stack';
import { freePort, temporaryDirectory } from '../servers/process.ts';

export interface StationStack {
  readonly directory: string;
  readonly stack: Stack;
  /** Ends every process and removes the directory. */
  end(): Promise<void>;
}

export async function startStationStack(name: string): Promise<StationStack> {
  const directory = temporaryDirectory(name);
  const stack = await startStack({
    data_dir: directory.path,
    http_port: await freePort(),
    mqtt_port: await freePort(),
    station_codes: [],
    seed: 1,
    wall_clock: Date.now,
    progress: (text) => console.error(text),
  });
  return {
    directory: directory.path,
    stack,
    async end() {
      await stack.stop();
      directory.remove();
    },
  };
}
