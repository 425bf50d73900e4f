/** A process that says what its clocks show, once for every line it is sent. */
import { createInterface } from 'node:readline';

const say = (event: string, facts: object = {}) =>
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);

say('ready');
for await (const _ of createInterface({ input: process.stdin }))
  say('clock', {
    wall_s: Math.round(Date.now() / 1000),
    mono_s: Math.round(performance.now() / 1000),
  });
