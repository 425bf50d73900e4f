/** A cloud reduced to its ingest, as a process of its own: made to be killed. Talks to its parent over IPC. */
import { createIngest } from '@waystation/cloud/ingest/ingest';
import { createTelemetryFeed } from '@waystation/cloud/telemetry/feed';
import { createSqlTelemetry } from '@waystation/cloud/telemetry/sql';
import type { Frame, UplinkAnswer } from '@waystation/protocol/gateway-link';
import { systemClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { openTestDatabase } from './databases.ts';

export type ToVictim = { id: number; frames: Frame[] };
export type FromVictim =
  | { said: 'opening' }
  | { said: 'ready' }
  | { said: 'answer'; id: number; answer: UplinkAnswer };

const say = (message: FromVictim) => process.send?.(message);

const [url] = process.argv.slice(2);
if (url === undefined) throw new Error('the address of the database is missing');
say({ said: 'opening' });
const clock = systemClock();
const database = await openTestDatabase(url);
const parts = { pool: database.pool, clock, log: silentLog };
const store = createSqlTelemetry(database.pool);
const telemetry = createTelemetryFeed({ ...parts, store, random: prng(1) });
const ingest = createIngest({ database, telemetry, clock, log: silentLog, onCommitted: () => {} });
process.on('message', ({ id, frames }: ToVictim) => {
  ingest.ingest(frames, 'test').then(
    (answer) => say({ said: 'answer', id, answer }),
    () => say({ said: 'answer', id, answer: { acks: [] } }),
  );
});
say({ said: 'ready' });
