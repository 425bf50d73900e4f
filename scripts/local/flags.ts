/** Command lines of the scripts: what is not known is refused with the flag's name and what it takes. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { resolve } from 'node:path';
import { Fault } from '@waystation/runtime/fault';

/** Strict: unknown flags and loose words throw Fault USAGE. */
export function readFlags<const O extends NonNullable<ParseArgsConfig['options']>>(
  options: O,
  argv: readonly string[],
) {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new Fault('USAGE', { problem }, cause);
  }
}

export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const problem = `"${text}" is not a whole number from ${least} to ${most}`;
  throw new Fault('USAGE', { flag: `--${flag}`, problem });
}

/** One word of a closed list. Throws Fault USAGE that lists them. */
export function oneOf<const T extends string>(flag: string, text: string, words: readonly T[]): T {
  const word = words.find((known) => known === text);
  if (word !== undefined) return word;
  throw new Fault('USAGE', {
    flag: `--${flag}`,
    problem: `"${text}" is not one of ${words.join(', ')}`,
  });
}

/** A path relative to where npm was called, not to the project. */
export function callersPath(text: string): string {
  return resolve(process.env['INIT_CWD'] ?? process.cwd(), text);
}
