/** For those who run the service: is it alive, is it ready, what does it count. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { sql, type Kysely } from 'kysely';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from '../database/schema.ts';
import type { Metrics } from './metrics.ts';

export function operationRoutes(parts: {
  db: Kysely<Schema>;
  metrics: Metrics;
}): FastifyPluginAsyncZod {
  const { db, metrics } = parts;
  return async (app) => {
    // Alive: the event loop turns. Says nothing of the database, or a restart would be the answer to its outage.
    app.get('/healthz', { schema: { hide: true }, config: { rateLimit: false } }, async () => ({
      status: 'ok',
    }));
    app.get('/readyz', { schema: { hide: true }, config: { rateLimit: false } }, async () => {
      try {
        await sql`select 1`.execute(db);
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
