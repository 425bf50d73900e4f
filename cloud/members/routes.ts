/** Enrol a member with a card, and take a card out of use. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MemberCard, MemberRequest, QueryRowId, RevokeRequest } from '@waystation/protocol/api';
import type { Access } from '../accounts/access.ts';
import type { CardDesk } from './cards.ts';

export function memberRoutes(parts: {
  desk: CardDesk;
  access: Access;
  /** A new status list is out. */
  published: () => void;
}): FastifyPluginAsyncZod {
  const { desk, access, published } = parts;
  return async (app) => {
    app.addHook('onRequest', access.require('administrator'));
    app.route({
      method: 'POST',
      url: '/members',
      schema: {
        operationId: 'enrolMember',
        tags: ['members'],
        summary: 'A new member, and the card over the holder’s own key',
        body: MemberRequest,
        response: { 201: MemberCard },
      },
      handler: async (request, reply) =>
        reply.code(201).send(await desk.enrol(access.actorOf(request), request.body)),
    });
    app.route({
      method: 'POST',
      url: '/cards/:index/revoke',
      schema: {
        operationId: 'revokeCard',
        tags: ['members'],
        summary: 'Take a card out of use; every online station learns of it',
        params: z.strictObject({ index: QueryRowId }),
        body: RevokeRequest,
        response: { 204: z.undefined().describe('Out of use') },
      },
      async handler(request, reply) {
        const { index } = request.params;
        if (await desk.revoke(access.actorOf(request), index, request.body.reason)) published();
        return reply.code(204).send();
      },
    });
  };
}
