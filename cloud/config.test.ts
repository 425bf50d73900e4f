import { describe, expect, it } from 'vitest';
import { parseConfig } from '@waystation/runtime/config';
import { CloudConfig, SAMPLE_CONFIG } from './config.ts';

const parse = (change: object) =>
  parseConfig(CloudConfig, JSON.stringify({ ...SAMPLE_CONFIG, ...change }), 'test');

describe('the configuration', () => {
  it('fills in its defaults', () => {
    expect(parse({})).toMatchObject({ demo_visitor: false, seed: { stations: 'none', number: 1 } });
    expect(parse({ seed: { stations: 'shandong' } }).seed.number).toBe(1);
  });

  it.each([
    [{ colour: 'red' }, 'field=colour'],
    [{ listen: { host: '127.0.0.1', port: 70_000 } }, 'field=listen.port'],
    [{ database: 'mysql://x' }, 'field=database'],
    [{ demo_visitor: true, listen: { host: '0.0.0.0', port: 1 } }, 'field=demo_visitor'],
    [{ demo_visitor: true, behind_proxy: true }, 'field=demo_visitor'],
    [{ influx: { url: 'http://x', flavour: 2, database: 'd' } }, 'field=influx.token_file'],
    [
      { influx: { url: 'http://x', flavour: 1, database: 'd', username: 'u' } },
      'field=influx.password_file',
    ],
    [{ influx: { url: 'file:///etc', flavour: 1, database: 'd' } }, 'field=influx.url'],
  ])('names the field at fault: %j', (change, field) => {
    expect(() => parse(change)).toThrow(field);
  });
});
