/** Configuration: read once from a JSON file, parsed strictly, frozen. Secrets are named by file, never held here. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { Fault } from './fault.ts';

/** A sentence that names the first field at fault: `reader.path: expected string`. */
export function firstIssue(error: z.ZodError): { field: string; problem: string } {
  const issue = error.issues[0];
  if (!issue) return { field: '(root)', problem: 'invalid' };
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : '';
  const field = [...issue.path.map(String), ...(unknown ? [unknown] : [])].join('.');
  return { field: field || '(root)', problem: issue.message };
}

export function parseConfig<S extends z.ZodType>(
  schema: S,
  text: string,
  source: string,
): Readonly<z.output<S>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Fault('CONFIG_INVALID', { source, field: '(root)', problem: 'not JSON' }, cause);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success)
    throw new Fault('CONFIG_INVALID', { source, ...firstIssue(parsed.error) }, parsed.error);
  return Object.freeze(parsed.data);
}

/**
 * The command line of every process: `--config FILE`, `--print-config`, `--help`.
 * Returns the configuration, or `null` when it only had to print.
 */
export function configFromCommandLine<S extends z.ZodType>(
  schema: S,
  about: { name: string; purpose: string; sample: z.input<S> },
  argv: readonly string[],
  print: (text: string) => void,
): Readonly<z.output<S>> | null {
  const options = {
    config: { type: 'string' },
    'print-config': { type: 'boolean' },
    'check-config': { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  let values: {
    config?: string;
    'print-config'?: boolean;
    'check-config'?: boolean;
    help?: boolean;
  };
  try {
    values = parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { problem: cause instanceof Error ? cause.message : String(cause) },
      cause,
    );
  }
  if (values.help) {
    print(
      `${about.name}: ${about.purpose}\n\n` +
        `  --config FILE    the configuration (JSON)\n` +
        `  --print-config   print the configuration in force with every default, or a sample without --config\n` +
        `  --check-config   read and check the configuration, then end\n` +
        `  --help           this text\n`,
    );
    return null;
  }
  if (values.config === undefined) {
    if (!values['print-config']) throw new Fault('USAGE', { problem: '--config FILE is missing' });
    print(`${JSON.stringify(schema.parse(about.sample), null, 2)}\n`);
    return null;
  }
  const config = parseConfig(schema, readConfigFile(values.config), values.config);
  if (values['print-config']) print(`${JSON.stringify(config, null, 2)}\n`);
  if (values['check-config']) print('configuration is valid\n');
  return values['print-config'] || values['check-config'] ? null : config;
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Fault('CONFIG_UNREADABLE', { path }, cause);
  }
}

/** A secret from its file, without the trailing new line. */
export function readSecret(path: string): string {
  const text = readConfigFile(path).replace(/\r?\n$/, '');
  if (text.length === 0)
    throw new Fault('CONFIG_INVALID', {
      source: path,
      field: '(secret)',
      problem: 'the file is empty',
    });
  return text;
}
