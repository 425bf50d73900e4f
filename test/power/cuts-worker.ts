/** One thread of `npm run power`: makes the cuts it is given, tells its figures, and asks for nothing. */
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { systemClock } from '@waystation/runtime/clock';
import { runCuts } from './cuts.ts';

const options = z
  .strictObject({
    seed: z.int(),
    from: z.int(),
    to: z.int(),
    flush: z.enum(['honest', 'lying']),
  })
  .parse(workerData);
parentPort?.postMessage(await runCuts(options, systemClock()));
