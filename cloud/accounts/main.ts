/** `node cloud/accounts/main.ts add|disable --config FILE --name NAME …`: accounts from the command line. */
import { text } from 'node:stream/consumers';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '@waystation/runtime/clock';
import { parseConfig } from '@waystation/runtime/config';
import { Fault, isFault } from '@waystation/runtime/fault';
import { silentLog } from '@waystation/runtime/log';
import { databaseUrl } from '../cloud.ts';
import { CloudConfig } from '../config.ts';
import { openDatabase } from '../database/open.ts';
import { addAccount, disableAccount } from './register.ts';

const USAGE = `node cloud/accounts/main.ts add --config FILE --name NAME --role ROLE --organisation CODE < password
node cloud/accounts/main.ts disable --config FILE --name NAME

  --config FILE         the cloud's configuration; with pglite, stop the cloud first
  --name NAME           lower-case letters, digits, . _ -
  --role ROLE           viewer, operator or administrator
  --organisation CODE   division code of the organisation: 37, 3708, 370811, 370811011
  the password, 10 to 200 characters, comes on standard input
`;

function readArguments(argv: readonly string[]) {
  const option = { type: 'string', default: '' } as const;
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: true,
      options: {
        config: option,
        name: option,
        role: option,
        organisation: option,
        help: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { problem: cause instanceof Error ? cause.message : String(cause) },
      cause,
    );
  }
}

function readConfig(path: string): CloudConfig {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path }, cause);
  }
  return parseConfig(CloudConfig, content, path);
}

async function main(argv: readonly string[]): Promise<void> {
  const { values, positionals } = readArguments(argv);
  const [action] = positionals;
  if (values.help) return void process.stdout.write(USAGE);
  if (action !== 'add' && action !== 'disable') {
    throw new Fault('USAGE', { problem: 'say add or disable' });
  }
  const clock = systemClock();
  const url = databaseUrl(readConfig(values.config));
  const { name, role, organisation } = values;
  const password = action === 'add' ? (await text(process.stdin)).replace(/\r?\n$/, '') : '';
  const database = await openDatabase({ url, clock, log: silentLog });
  try {
    if (action === 'disable') await disableAccount(database.db, name, clock.wall());
    else await addAccount(database.db, { name, role, organisation, password }, clock.wall());
  } finally {
    await database.close();
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`accounts: ${error.message}\n${error.operator}\n`);
  process.exitCode = 2;
}
