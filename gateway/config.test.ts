import { expect, test } from 'vitest';
import { parseConfig } from '@waystation/runtime/config';
import { isFault } from '@waystation/runtime/fault';
import { GatewayConfig, SAMPLE_CONFIG } from './config.ts';

const parse = (config: object) => parseConfig(GatewayConfig, JSON.stringify(config), 'test');
const without = (key: string) =>
  Object.fromEntries(Object.entries(SAMPLE_CONFIG).filter(([name]) => name !== key));
const BROKER = { url: 'mqtts://broker.example:8883', username: 'gateway', password_file: '/p' };

test('the sample is complete, and every limit has a default', () => {
  const config = parse(SAMPLE_CONFIG);
  expect(config.limits).toMatchObject({ connections_max: 20_000, posts_in_flight_max: 3 });
  expect(config.log_level).toBe('info');
});

test('an external broker takes the place of listening', () => {
  const config = parse({ ...without('listen'), broker: BROKER });
  expect(config.broker?.group).toBe('waystation');
});

test.each([
  ['an unknown field', { ...SAMPLE_CONFIG, colour: 'red' }, 'colour'],
  ['an unknown limit', { ...SAMPLE_CONFIG, limits: { speed: 1 } }, 'limits.speed'],
  ['a limit out of range', { ...SAMPLE_CONFIG, limits: { linger_ms: -1 } }, 'limits.linger_ms'],
  ['neither side', without('listen'), 'listen'],
  ['both sides', { ...SAMPLE_CONFIG, broker: BROKER }, 'listen'],
  ['no door', { ...SAMPLE_CONFIG, listen: {} }, 'listen'],
  ['no key for tokens', without('station_key_file'), 'station_key_file'],
  [
    'a broker that is no MQTT',
    { ...without('listen'), broker: { ...BROKER, url: 'http://x' } },
    'broker.url',
  ],
  ['an id that is no id', { ...SAMPLE_CONFIG, id: 'Ü' }, 'id'],
])('%s is refused by name', (_name, config, field) => {
  expect(() => parse(config)).toThrow(
    expect.toSatisfy(
      (error: unknown) => isFault(error, 'CONFIG_INVALID') && error.facts.field === field,
    ),
  );
});
