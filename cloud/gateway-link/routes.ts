/** What the gateways dial: uplink, presence, and the stream of commands. See protocol/gateway-link.ts. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  BATCH_BYTES_MAX,
  BATCH_MESSAGES_MAX,
  decodeFrames,
  PresenceReport,
  UPLINK_CONTENT_TYPE,
  type Delivery,
  type Frame,
  type UplinkAnswer,
} from '@waystation/protocol/gateway-link';
import { Fault } from '@waystation/runtime/fault';
import type { GatewayStream } from './downlink.ts';
import type { Gateways } from './gateways.ts';
import type { PresenceResult } from './presence.ts';

const PRESENCE_BYTES_MAX = 1024 * 1024;

interface Parts {
  token: string;
  gateways: Gateways;
  /** Resolves when every acknowledged record is committed. Rejects with Fault DATABASE_UNAVAILABLE. */
  accept(frames: readonly Frame[], gateway: string): Promise<UplinkAnswer>;
  report(report: PresenceReport): Promise<PresenceResult>;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Compares digests, so that neither time nor length tells anything of the token. */
function tokenCheck(token: string) {
  const expected = digest(`Bearer ${token}`);
  return async (request: FastifyRequest): Promise<void> => {
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return;
    throw new Fault('NOT_AUTHENTICATED', {
      field: 'authorization',
      problem: 'not the gateway token',
    });
  };
}

function streamTo(reply: FastifyReply): GatewayStream {
  return {
    send: async (delivery: Delivery) => {
      if (!reply.sse.isConnected) return false;
      await reply.sse.send({ data: JSON.stringify(delivery) });
      return reply.sse.isConnected;
    },
    end: () => reply.raw.destroy(),
  };
}

export function gatewayLinkRoutes(parts: Parts): FastifyPluginAsyncZod {
  const { gateways } = parts;
  return async (app) => {
    app.addHook('onRequest', tokenCheck(parts.token));
    app.addHook('preClose', async () => gateways.close());
    app.addContentTypeParser(
      UPLINK_CONTENT_TYPE,
      { parseAs: 'buffer', bodyLimit: BATCH_BYTES_MAX },
      (_request, body, done) => done(null, body),
    );
    app.route({
      method: 'POST',
      url: '/uplink',
      bodyLimit: BATCH_BYTES_MAX,
      schema: { hide: true },
      config: { rateLimit: false },
      async handler(request, reply) {
        const frames = request.body instanceof Uint8Array ? decodeFrames(request.body) : null;
        if (frames === null || frames.length === 0) {
          const problem = `not 1 to ${BATCH_MESSAGES_MAX} frames of ${UPLINK_CONTENT_TYPE}`;
          throw new Fault('UPLINK_BATCH_INVALID', { field: 'body', problem });
        }
        const answer = await parts.accept(frames, request.ip);
        return reply.type('application/json').send(JSON.stringify(answer));
      },
    });
    app.route({
      method: 'POST',
      url: '/presence',
      bodyLimit: PRESENCE_BYTES_MAX,
      schema: { hide: true, body: PresenceReport },
      config: { rateLimit: false },
      async handler(request, reply) {
        await parts.report(request.body);
        return reply.code(204).send();
      },
    });
    app.route({
      method: 'GET',
      url: '/commands',
      sse: { kind: 'manual', serializer: String },
      schema: {
        hide: true,
        querystring: z.strictObject({
          gateway: PresenceReport.shape.gateway,
          group: PresenceReport.shape.gateway.optional(),
        }),
      },
      config: { rateLimit: false },
      async handler(request, reply) {
        const { gateway, group } = request.query;
        const disconnect = gateways.connect(gateway, streamTo(reply), group);
        reply.sse.keepAlive();
        reply.sse.onClose(disconnect);
        // The head goes out at once: the gateway must know that it is heard.
        reply.sse.sendHeaders();
        reply.raw.write(': here\n\n');
      },
    });
  };
}
