/** For those who run the service: is it alive, is it ready, what does it count. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { sql, type Kysely } from 'kysely';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from '../database/schema.ts';
import type { Metrics } from './metrics.ts';

/** A balancer asks every few seconds and takes silence for longer than a refusal. */
const READY_PATIENCE_MS = 2_000;

/** A database that is frozen, or whose pool is taken, answers nothing at all. */
async function withinPatience(clock: Clock, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = clock.after(READY_PATIENCE_MS, () => late.reject(new RangeError('no answer')));
  try {
    await Promise.race([work, late.promise]);
  } finally {
    timer.stop();
  }
}

export function operationRoutes(parts: {
  db: Kysely<Schema>;
  clock: Clock;
  metrics: Metrics;
}): FastifyPluginAsyncZod {
  const { db, clock, metrics } = parts;
  return async (app) => {
    // Alive: the event loop turns. Says nothing of the database, or a restart would be the answer to its outage.
    app.get('/healthz', { schema: { hide: true }, config: { rateLimit: false } }, async () => ({
      status: 'ok',
    }));
    app.get('/readyz', { schema: { hide: true }, config: { rateLimit: false } }, async () => {
      try {
        await withinPatience(clock, sql`select 1`.execute(db));
      } catch (cause) {
        throw new Fault('DATABASE_UNAVAILABLE', { problem: 'the database does not answer' }, cause);
      }
      return { status: 'ready' };
    });
    app.get(
      '/metrics',
      { schema: { hide: true }, config: { rateLimit: false } },
      async (_request, reply) => reply.type(metrics.content_type).send(await metrics.text()),
    );
  };
}
