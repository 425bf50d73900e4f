/** `node cloud/cards/main.ts`: keys and cards by hand, where no service runs. */
import { systemClock } from '@waystation/runtime/clock';
import { isFault } from '@waystation/runtime/fault';
import { CARDS_HELP, runCards } from './command-line.ts';

const argv = process.argv.slice(2);
try {
  process.stdout.write(
    argv.length === 0 ? CARDS_HELP : runCards(argv, Math.floor(systemClock().wall() / 1000)),
  );
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`${error.message}\n${error.operator}\n`);
  process.exitCode = 1;
}
