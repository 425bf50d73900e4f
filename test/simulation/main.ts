/** `npm run autonomy -- --days 90 --seed N`: a station alone in simulated time; the last line is JSON. */
import { stationCode } from '@waystation/protocol/station-code';
import { isFault } from '@waystation/runtime/fault';
import { readFlags, wholeNumber } from '@waystation/scripts/local/flags';
import { figures, runAutonomy } from './autonomy-verdict.ts';

const MEGABYTE = 1024 * 1024;

async function main(): Promise<void> {
  const flags = readFlags(
    {
      days: { type: 'string', default: '90' },
      seed: { type: 'string', default: '1' },
      'budget-mb': { type: 'string', default: '256' },
      room: { type: 'boolean', default: false },
    },
    process.argv.slice(2),
  );
  const options = {
    days: wholeNumber('days', flags.days, 4, 90),
    seed: wholeNumber('seed', flags.seed, 0, 2 ** 32 - 1),
    disk_budget_bytes: wholeNumber('budget-mb', flags['budget-mb'], 1, 512) * MEGABYTE,
    code: stationCode('370102001', flags.room ? 'M' : 'W', 1),
    visits_per_day: flags.room ? 3 : 120,
    key_age_days: 61,
  };
  const verdict = await runAutonomy(options);
  for (const problem of [...verdict.tally.wrong, ...(verdict.drained?.problems ?? [])].slice(0, 20))
    console.error(problem);
  console.log(JSON.stringify(figures(options, verdict)));
}

try {
  await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
