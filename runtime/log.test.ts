import { expect, test } from 'vitest';
import { epochMs, fakeClock } from './clock.ts';
import { jsonLog, outageLog } from './log.ts';

test('one line, one JSON object, nothing below the level', () => {
  const lines: string[] = [];
  const log = jsonLog(fakeClock(epochMs(0)), 'edge', 'info', (line) => lines.push(line));
  log('debug', 'modbus.retry');
  log('warn', 'serial.lost', { path: '/dev/x\n' });
  expect(lines).toEqual([
    '{"at":"1970-01-01T00:00:00.000Z","level":"warn","process":"edge","event":"serial.lost","path":"/dev/x\\n"}\n',
  ]);
});

test('an outage is told once, and its end once with its length', async () => {
  const clock = fakeClock();
  const told: string[] = [];
  const outage = outageLog(
    (level, event, facts) => told.push(`${level} ${event} ${facts?.['down_ms'] ?? ''}`),
    clock,
    'down',
    'up',
  );
  outage.worked();
  outage.failed();
  await clock.advance(5000);
  outage.failed();
  outage.worked();
  outage.worked();
  expect(told).toEqual(['warn down ', 'info up 5000']);
});
