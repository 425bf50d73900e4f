/** GET /live: the server-sent events of the console. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { LiveMessage } from '@waystation/protocol/api';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Access } from '../accounts/access.ts';
import type { LiveConnection, LiveHub } from './hub.ts';

/** A session that ended, or moved to another organisation, loses its open pages within this time. */
const ADMISSION_CHECK_MS = 60_000;
const BEAT_MS = 15_000;

const Query = z.strictObject({
  /** Where to go on from on a first connect: `sequence` of /stations/states. A reconnecting browser sends Last-Event-ID. */
  after: z.coerce.number().int().min(0).optional(),
});

function connectionTo(reply: FastifyReply, path: string): LiveConnection {
  const send = (id: number | undefined, data: string) =>
    // Never awaited: a slow page shows in pendingBytes, and its end is the hub's decision.
    void reply.sse.send({ data, ...(id === undefined ? {} : { id: String(id) }) }).catch(() => {});
  return {
    path,
    send: ({ id, data }) => send(id, JSON.stringify(data)),
    sendText: send,
    pendingBytes: () => reply.raw.writableLength,
    drop: () => reply.raw.destroy(),
  };
}

export function liveRoutes(parts: {
  hub: LiveHub;
  access: Access;
  clock: Clock;
}): FastifyPluginAsyncZod {
  const { hub, access, clock } = parts;
  return async (app) => {
    const beat = clock.every(BEAT_MS, () => hub.beat());
    app.addHook('preClose', async () => {
      beat.stop();
      hub.close();
    });
    app.route({
      method: 'GET',
      url: '/live',
      // The beat is our own: a page cannot hear comments.
      sse: { kind: 'manual', serializer: String, heartbeat: false },
      schema: {
        operationId: 'live',
        tags: ['live'],
        summary: 'Server-sent events: hello, then every change within the account’s organisation',
        querystring: Query,
        response: {
          200: {
            description: 'Unnamed events; `data` is a LiveMessage, `id` its sequence',
            content: { 'text/event-stream': { schema: LiveMessage } },
          },
        },
      },
      async handler(request, reply) {
        const actor = access.actorOf(request);
        const said = Number(reply.sse.lastEventId ?? Number.NaN);
        const after = Number.isSafeInteger(said) ? said : (request.query.after ?? null);
        const connection = connectionTo(reply, actor.path);
        if (!hub.join(connection, after)) {
          throw new Fault('TOO_MANY_REQUESTS', { problem: 'too many live connections' });
        }
        reply.sse.keepAlive();
        const check = clock.every(ADMISSION_CHECK_MS, () => {
          access.stillAdmitted(request).then(
            (now) => now?.path === actor.path || connection.drop(),
            () => connection.drop(),
          );
        });
        reply.sse.onClose(() => {
          check.stop();
          hub.leave(connection);
        });
      },
    });
  };
}
