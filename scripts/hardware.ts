/** `npm run hardware -- [--data DIR] COMMAND …`: one line to the demo station's simulated hardware, as at its own prompt. */
import { join } from 'node:path';
import { isFault } from '@waystation/runtime/fault';
import { callersPath } from './local/flags.ts';
import { connectSimulator } from './local/simulator.ts';
import { demoDirectory } from './local/stack.ts';

/** The words of the prompt are not ours to parse: only a leading --data is. */
function readArguments(argv: readonly string[]): { data: string; line: string } {
  const [flag, data = ''] = argv;
  const words = flag === '--data' ? argv.slice(2) : argv;
  return { data: flag === '--data' ? data : '.waystation', line: words.join(' ') || 'help' };
}

try {
  const { data, line } = readArguments(process.argv.slice(2));
  const data_dir = callersPath(data);
  const simulator = await connectSimulator(join(demoDirectory(data_dir), 'simulator.sock'));
  console.log(JSON.stringify(await simulator.ask({ do: 'prompt', line })));
  simulator.close();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
