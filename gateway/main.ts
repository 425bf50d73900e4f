/** The gateway process: `node gateway/main.ts --config FILE`, or `--print-acl mosquitto` for an external broker's rules. */
import { mosquittoAcl } from '@waystation/protocol/topics';
import { systemClock } from '@waystation/runtime/clock';
import { configFromCommandLine } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { jsonLog } from '@waystation/runtime/log';
import { GatewayConfig, SAMPLE_CONFIG } from './config.ts';
import { startGateway } from './gateway.ts';

const clock = systemClock();
const print = (text: string) => void process.stdout.write(text);
/** Longer than this a stop is not waited for; the brief posts in flight end well before. */
const STOP_MS = 4_500;

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === '--print-acl' && argv[1] === 'mosquitto') {
    print(mosquittoAcl(argv[2] ?? 'gateway'));
    return;
  }
  const about = {
    name: 'gateway',
    purpose:
      'the MQTT front door of the stations.\n' +
      '  --print-acl mosquitto [USER]   access rules for an external Mosquitto; USER is the gateway there',
    sample: SAMPLE_CONFIG,
  };
  const config = configFromCommandLine(GatewayConfig, about, argv, print);
  if (config === null) return;
  const log = jsonLog(clock, 'gateway', config.log_level, print);
  const gateway = await startGateway(config, { clock, random: Math.random, log });
  log('info', 'ready', { gateway: config.id, ...gateway.ports });
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log('info', 'stopping', { signal });
    clock.after(STOP_MS, () => process.exit(0));
    void gateway.stop().then(() => {
      log('info', 'stopped');
      process.exit(0);
    });
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`gateway: ${error.message}\n${error.operator}\n`);
  // Not exitCode: a door that did open would keep the process alive.
  process.exit(2);
}
