/** Open a door from afar, and see what became of it. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CommandState, OpenRequest } from '@waystation/protocol/api';
import { StationCodeSchema } from '@waystation/protocol/station-code';
import type { Access } from '../accounts/access.ts';
import type { CommandDesk } from './desk.ts';

/** Nobody opens doors faster by hand. */
const OPENINGS_PER_MINUTE = 30;

export function commandRoutes(parts: { desk: CommandDesk; access: Access }): FastifyPluginAsyncZod {
  const { desk, access } = parts;
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/stations/:code/commands',
      schema: {
        operationId: 'openStation',
        tags: ['commands'],
        summary: 'Open the door once; the station decides, and its own record is the result',
        params: z.strictObject({ code: StationCodeSchema }),
        body: OpenRequest,
        response: { 202: CommandState },
      },
      onRequest: access.require('operator'),
      config: {
        rateLimit: {
          max: OPENINGS_PER_MINUTE,
          timeWindow: 60_000,
          groupId: 'open',
          keyGenerator: (request) => access.actorOf(request).account,
          hook: 'preHandler',
        },
      },
      async handler(request, reply) {
        const { params, body } = request;
        return reply
          .code(202)
          .send(await desk.open(access.actorOf(request), params.code, body.reason));
      },
    });
    app.route({
      method: 'GET',
      url: '/commands/:id',
      schema: {
        operationId: 'readCommand',
        tags: ['commands'],
        summary: 'What became of a command',
        params: z.strictObject({ id: z.string().regex(/^[0-9a-zA-Z_-]{8,64}$/) }),
        response: { 200: CommandState },
      },
      handler: (request) => desk.read(access.actorOf(request), request.params.id),
    });
  };
}
