import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { configFromCommandLine, parseConfig } from './config.ts';
import { isFault } from './fault.ts';

const Schema = z.strictObject({
  reader: z.strictObject({ path: z.string() }),
  poll_interval_ms: z.int().min(100).default(1000),
});
const about = { name: 'probe', purpose: 'a test', sample: { reader: { path: '/dev/reader' } } };

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFault(error)) return error.message;
    throw error;
  }
  return 'no fault';
}

describe('configuration', () => {
  test('names the field at fault, unknown fields included', () => {
    expect(faultOf(() => parseConfig(Schema, '{"reader":{}}', 'a.json'))).toMatch(
      /^CONFIG_INVALID source=a.json field=reader.path /,
    );
    expect(faultOf(() => parseConfig(Schema, '{"reader":{"path":"x"},"pol":1}', 'a.json'))).toMatch(
      /field=pol /,
    );
    expect(faultOf(() => parseConfig(Schema, 'nonsense', 'a.json'))).toMatch(/problem=not JSON/);
  });

  test('is filled with defaults and frozen', () => {
    const config = parseConfig(Schema, '{"reader":{"path":"x"}}', 'a.json');
    expect(config).toEqual({ reader: { path: 'x' }, poll_interval_ms: 1000 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('the command line prints help and a sample, and refuses what it does not know', () => {
    const printed: string[] = [];
    expect(
      configFromCommandLine(Schema, about, ['--help'], (text) => printed.push(text)),
    ).toBeNull();
    expect(
      configFromCommandLine(Schema, about, ['--print-config'], (text) => printed.push(text)),
    ).toBeNull();
    expect(printed[0]).toContain('--print-config');
    expect(JSON.parse(printed[1] ?? '')).toEqual({
      reader: { path: '/dev/reader' },
      poll_interval_ms: 1000,
    });
    expect(faultOf(() => configFromCommandLine(Schema, about, ['--confg', 'x'], () => {}))).toMatch(
      /^USAGE/,
    );
    expect(faultOf(() => configFromCommandLine(Schema, about, [], () => {}))).toMatch(
      /--config FILE is missing/,
    );
    expect(
      faultOf(() => configFromCommandLine(Schema, about, ['--config', '/nonexistent'], () => {})),
    ).toMatch(/^CONFIG_UNREADABLE path=/);
  });
});
