import { expect, test } from 'vitest';
import { publishQos0 } from './publish-packet.ts';

const bytes = (packet: string) => Buffer.from(packet, 'latin1').toString('hex');

test('the topic of MQTT 3.1.1 figure 3.12, at QoS 0', () => {
  expect(bytes(publishQos0('a/b', 'x'))).toBe('3006' + '0003612f62' + '78');
});

test.each([
  [127, '307f'],
  [128, '308001'],
  [16_383, '30ff7f'],
  [16_384, '30808001'],
])('a remaining length of %i as in table 2.4', (length, head) => {
  const packet = bytes(publishQos0('a/b', 'x'.repeat(length - 5)));
  expect(packet.slice(0, head.length)).toBe(head);
  expect(packet.length / 2).toBe(head.length / 2 + length);
});
