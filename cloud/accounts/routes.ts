/** Sign in, who am I, sign out. */
import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { Credentials, Session } from '@waystation/protocol/api';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from '../database/schema.ts';
import { checkSameOrigin, SESSION_COOKIE, sessionToken, type Access } from './access.ts';
import type { Actor } from './scope.ts';
import {
  beginSession,
  checkPassword,
  endSession,
  findSession,
  SESSION_LIFE_MS,
} from './sessions.ts';

interface Parts {
  db: Kysely<Schema>;
  clock: Clock;
  access: Access;
  version: string;
  logins_per_minute: number;
}

function setCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  token: string,
  life_s: number,
): void {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  void reply.header(
    'set-cookie',
    `${SESSION_COOKIE}=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${life_s}${secure}`,
  );
}

function sessionOf(actor: Actor, version: string): Session {
  const { account, role, organisation, organisation_name } = actor;
  return { account, role, organisation, organisation_name, version };
}

/** Open to everybody. */
export function loginRoute(parts: Parts): FastifyPluginAsyncZod {
  const { db, clock, version } = parts;
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/session',
      schema: {
        operationId: 'signIn',
        tags: ['session'],
        summary: 'Sign in; the answer sets the session cookie',
        body: Credentials,
        response: { 200: Session },
      },
      config: { rateLimit: { max: parts.logins_per_minute, timeWindow: 60_000, groupId: 'login' } },
      onRequest: async (request) => checkSameOrigin(request),
      async handler(request, reply) {
        const { account, password } = request.body;
        const account_id = await checkPassword(db, account, password);
        if (account_id === null) {
          throw new Fault('NOT_AUTHENTICATED', { problem: 'account and password do not match' });
        }
        const token = randomBytes(32).toString('base64url');
        await beginSession(db, { account_id, token }, clock.wall());
        const actor = await findSession(db, token, clock.wall());
        if (actor === null)
          throw new Fault('NOT_AUTHENTICATED', { problem: 'the account was disabled' });
        setCookie(request, reply, token, SESSION_LIFE_MS / 1000);
        return sessionOf(actor, version);
      },
    });
  };
}

/** For signed-in accounts. */
export function sessionRoutes(parts: Parts): FastifyPluginAsyncZod {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/session',
      schema: {
        operationId: 'readSession',
        tags: ['session'],
        summary: 'The account, its role and organisation',
        response: { 200: Session },
      },
      handler: async (request) => sessionOf(parts.access.actorOf(request), parts.version),
    });
    app.route({
      method: 'DELETE',
      url: '/session',
      schema: {
        operationId: 'signOut',
        tags: ['session'],
        summary: 'Sign out',
        response: { 204: z.undefined().describe('Signed out') },
      },
      async handler(request, reply) {
        const token = sessionToken(request);
        if (token !== null) await endSession(parts.db, token);
        setCookie(request, reply, '', 0);
        return reply.code(204).send();
      },
    });
  };
}
