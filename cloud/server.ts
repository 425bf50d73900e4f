/** The HTTP service: what every request passes, and the features behind it. */
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { fastifySSE } from '@fastify/sse';
import fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify';
import { randomBytes } from 'node:crypto';
import {
  serializerCompiler,
  validatorCompiler,
  type FastifyPluginAsyncZod,
} from 'fastify-type-provider-zod';
import { Problem } from '@waystation/protocol/api';
import { Fault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { Access } from './accounts/access.ts';
import { CONSOLE_PAGE, isPageRequest, serveConsole } from './operations/console-pages.ts';
import { documentApi } from './operations/openapi.ts';
import { problemOf } from './problem.ts';

const BODY_BYTES_MAX = 64 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const HEARTBEAT_MS = 15_000;

export interface ServerParts {
  log: Log;
  version: string;
  behind_proxy: boolean;
  requests_per_minute: number;
  console_dir: string | undefined;
  access: Access;
  /** Called after every answer. */
  observe(route: string, method: string, status: number, duration_ms: number): void;
  /** Under /api/v1, for admitted accounts. */
  features: readonly FastifyPluginAsyncZod[];
  /** Under /api/v1, for everybody. */
  open: readonly FastifyPluginAsyncZod[];
  /** Under /gateway/v1, with its own token. */
  gateway_link: FastifyPluginAsyncZod;
  /** At the root: health, metrics. */
  operations: FastifyPluginAsyncZod;
}

/** No script, style or connection but our own; Mantine writes style attributes, hence 'unsafe-inline' for styles alone. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:', 'blob:'],
    fontSrc: ["'self'"],
    connectSrc: ["'self'"],
    workerSrc: ["'self'"],
    manifestSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
};

/** Not yet listening. */
export async function buildServer(parts: ServerParts): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    trustProxy: parts.behind_proxy ? 'loopback, linklocal, uniquelocal' : false,
    genReqId: () => randomBytes(8).toString('hex'),
    routerOptions: { maxParamLength: 200, caseSensitive: true },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  // JSON or nothing; a feature adds what else it takes.
  app.removeContentTypeParser('text/plain');
  answerProblems(app, parts);
  observeAnswers(app, parts);
  // Behind a proxy that ends TLS it is the proxy's part to promise HTTPS for ever.
  await app.register(helmet, { contentSecurityPolicy: CONTENT_SECURITY_POLICY, hsts: false });
  await app.register(rateLimit, {
    max: parts.requests_per_minute,
    timeWindow: 60_000,
    cache: 10_000,
    errorResponseBuilder: () => new Fault('TOO_MANY_REQUESTS', { problem: 'too many requests' }),
  });
  await app.register(fastifySSE, { heartbeatInterval: HEARTBEAT_MS });
  await documentApi(app, parts.version);
  await app.register(parts.operations);
  await app.register(parts.gateway_link, { prefix: '/gateway/v1' });
  for (const feature of parts.open) await app.register(feature, { prefix: '/api/v1' });
  await app.register(admitted(parts), { prefix: '/api/v1' });
  if (parts.console_dir !== undefined) await serveConsole(app, parts.console_dir);
  return app;
}

function admitted({ access, features }: ServerParts): FastifyPluginAsync {
  return async (app) => {
    app.addHook('onRequest', access.admit);
    // A stranger learns nothing of which addresses exist: 401 comes before 404.
    app.setNotFoundHandler(() => {
      throw new Fault('NOT_FOUND', { problem: 'no such address' });
    });
    for (const feature of features) await app.register(feature);
  };
}

function answerProblems(app: FastifyInstance, { log, console_dir }: ServerParts): void {
  // Each documented route answers with Problem where it fails.
  app.addHook('onRoute', (route) => {
    if (route.schema === undefined || route.schema.hide === true) return;
    const { response } = route.schema;
    route.schema = {
      ...route.schema,
      response: { ...(response as object), '4xx': Problem, '5xx': Problem },
    };
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, problem, unexpected } = problemOf(error, request.id);
    if (unexpected) {
      const route = request.routeOptions.url ?? '';
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log('warn', 'http.failed', { request: request.id, route, code: problem.code, problem: text });
    }
    return reply.code(status).send(problem);
  });
  app.setNotFoundHandler((request, reply) => {
    if (console_dir !== undefined && isPageRequest(request)) return reply.sendFile(CONSOLE_PAGE);
    const { problem } = problemOf(
      new Fault('NOT_FOUND', { problem: 'no such address' }),
      request.id,
    );
    return reply.code(404).send(problem);
  });
}

function observeAnswers(app: FastifyInstance, parts: ServerParts): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    parts.observe(route, request.method, reply.statusCode, reply.elapsedTime);
  });
}
