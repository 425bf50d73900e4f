/** `npm run hardware -- COMMAND …`: one line to the demo station's simulated hardware, as at its own prompt. */
import { join, resolve } from 'node:path';
import { isFault } from '@waystation/runtime/fault';
import { connectSimulator } from './local/simulator.ts';
import { demoDirectory } from './local/stack.ts';

try {
  const line = process.argv.slice(2).join(' ') || 'help';
  const data_dir = resolve(process.env['INIT_CWD'] ?? process.cwd(), '.waystation');
  const simulator = await connectSimulator(join(demoDirectory(data_dir), 'simulator.sock'));
  console.log(JSON.stringify(await simulator.ask({ do: 'prompt', line })));
  simulator.close();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
