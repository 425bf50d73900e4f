/** The border of the API: who is this request, may it come from this page, may this role do that. */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Kysely } from 'kysely';
import type { Role } from '@waystation/protocol/api';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import type { Schema } from '../database/schema.ts';
import { hasRole, type Actor } from './scope.ts';
import { findSession } from './sessions.ts';

export const SESSION_COOKIE = 'waystation_session';
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
const LOOPBACK_ADDRESS = /^(::ffff:)?127\.|^::1$/;
const LOOPBACK_HOST = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

export interface Access {
  /** Refuses a request without an account, and an unsafe one from another site's page. */
  admit: onRequestAsyncHookHandler;
  /** Refuses an account below this role. Runs after `admit`. */
  require(least: Role): onRequestAsyncHookHandler;
  /** The account that `admit` found. */
  actorOf(request: FastifyRequest): Actor;
  /** Looks again, for long-lived connections: `null` when the session has ended meanwhile. */
  stillAdmitted(request: FastifyRequest): Promise<Actor | null>;
}

/** The value of our cookie, by the plain `name=value; …` form that browsers send (RFC 6265, 4.2). */
export function sessionToken(request: FastifyRequest): string | null {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === SESSION_COOKIE && value !== undefined && value !== '') return value;
  }
  return null;
}

/**
 * Cookies travel with requests of foreign pages too, so an unsafe request must say that it comes from ours.
 * Browsers send Sec-Fetch-Site or at least Origin; what sends neither is no browser and holds no victim's cookie.
 */
export function checkSameOrigin(request: FastifyRequest): void {
  if (SAFE_METHODS.includes(request.method)) return;
  const site = request.headers['sec-fetch-site'];
  const { origin } = request.headers;
  const own = `${request.protocol}://${request.host}`;
  const foreign =
    site === undefined
      ? origin !== undefined && origin !== own
      : site !== 'same-origin' && site !== 'none';
  if (foreign) throw new Fault('FORBIDDEN', { problem: 'the request comes from another site' });
}

/**
 * The connection itself must come from this machine, and the page's address must be this machine's: else a foreign
 * name that points here (DNS rebinding) would make its visitor our administrator.
 */
function isLocalVisitor(request: FastifyRequest): boolean {
  const { remoteAddress } = request.socket;
  return (
    LOOPBACK_ADDRESS.test(remoteAddress ?? '') && LOOPBACK_HOST.test(request.headers.host ?? '')
  );
}

async function provinceAccount(db: Kysely<Schema>): Promise<Actor | null> {
  const root = await db
    .selectFrom('organisation')
    .select(['id', 'name', 'path'])
    .where('parent', 'is', null)
    .orderBy('id')
    .executeTakeFirst();
  if (root === undefined) return null;
  return {
    account: 'visitor',
    role: 'administrator',
    organisation: root.id,
    organisation_name: root.name,
    path: root.path,
  };
}

export function createAccess(parts: {
  db: Kysely<Schema>;
  clock: Clock;
  demo_visitor: boolean;
}): Access {
  const { db, clock, demo_visitor } = parts;
  const actors = new WeakMap<FastifyRequest, Actor>();

  async function find(request: FastifyRequest): Promise<Actor | null> {
    const token = sessionToken(request);
    const actor = token === null ? null : await findSession(db, token, clock.wall());
    if (actor !== null) return actor;
    return demo_visitor && isLocalVisitor(request) ? provinceAccount(db) : null;
  }

  function actorOf(request: FastifyRequest): Actor {
    const actor = actors.get(request);
    if (actor === undefined) throw new Fault('NOT_AUTHENTICATED', { problem: 'not signed in' });
    return actor;
  }

  return {
    async admit(request) {
      const actor = await find(request);
      if (actor === null) throw new Fault('NOT_AUTHENTICATED', { problem: 'not signed in' });
      checkSameOrigin(request);
      actors.set(request, actor);
    },
    require: (least) => async (request) => {
      const actor = actorOf(request);
      if (hasRole(actor, least)) return;
      throw new Fault('FORBIDDEN', {
        problem: `this needs the role ${least}, the account has ${actor.role}`,
      });
    },
    actorOf,
    stillAdmitted: find,
  };
}
