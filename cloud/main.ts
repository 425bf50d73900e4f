/** The cloud process: `node cloud/main.ts --config FILE`. */
import { systemClock } from '@waystation/runtime/clock';
import { configFromCommandLine } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { jsonLog } from '@waystation/runtime/log';
import { openCloud } from './cloud.ts';
import { CloudConfig, SAMPLE_CONFIG } from './config.ts';
import { readVersion } from './version.ts';

const clock = systemClock();
const print = (text: string) => void process.stdout.write(text);
/** Longer than this a stop is not waited for. */
const STOP_MS = 4_800;

async function main(argv: readonly string[]): Promise<void> {
  const about = { name: 'cloud', purpose: "the province's service", sample: SAMPLE_CONFIG };
  const config = configFromCommandLine(CloudConfig, about, argv, print);
  if (config === null) return;
  const log = jsonLog(clock, 'cloud', config.log_level, print);
  const cloud = await openCloud({
    config,
    clock,
    log,
    random: Math.random,
    version: readVersion(),
  });
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log('info', 'stopping', { signal });
    clock.after(STOP_MS, () => process.exit(1));
    void cloud.stop().then(() => {
      log('info', 'stopped');
      process.exit(0);
    });
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  try {
    log('info', 'ready', await cloud.listen());
  } catch (error) {
    await cloud.stop();
    throw error;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`cloud: ${error.message}\n${error.operator}\n`);
  process.exitCode = 2;
}
