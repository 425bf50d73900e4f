import { expect, test } from 'vitest';
import { stationCode } from '@waystation/protocol/station-code';
import { fakeClock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { memoryStation } from './device-line.ts';

test('the same hardware answers on lines in memory, and can be pulled out', async () => {
  const clock = fakeClock();
  const { hardware, field_bus, reader } = memoryStation({
    code: stationCode('370811011', 'M', 7),
    clock,
    random: prng(1),
  });
  const replies: string[] = [];
  const scans: string[] = [];
  field_bus.onData((bytes) => replies.push(Buffer.from(bytes).toString('hex')));
  reader.onData((bytes) => scans.push(Buffer.from(bytes).toString('latin1')));
  // Read the 16 contacts: the lock is engaged (bit 1), mains is present (bit 7).
  field_bus.write(Uint8Array.from(Buffer.from('01020000', 'hex')));
  field_bus.write(Uint8Array.from(Buffer.from('001079c6', 'hex')));
  await clock.advance(1);
  expect(replies).toEqual(['0102028200d918']);
  void hardware.scan('WS1:Y');
  await clock.advance(1);
  expect(scans.join('')).toBe('WS1:Y\r\n');
  hardware.unplug('bus');
  expect(field_bus.isOpen).toBe(false);
  hardware.replug('bus');
  expect(field_bus.isOpen).toBe(true);
});
