/** /api/openapi.json, printed from the schemas that check the requests and answers. */
import { isDeepStrictEqual } from 'node:util';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { SESSION_COOKIE } from '../accounts/access.ts';

const REF = '#/components/schemas/';

/** Before every route that shall be documented. */
export async function documentApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Waystation',
        version,
        description: 'The stations of a province: their state, history, use and doors.',
      },
      components: {
        securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE } },
      },
      security: [{ session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  // Written once, at the first question: routes do not come and go.
  let text: string | null = null;
  app.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(tidy(app.swagger()));
    return reply.type('application/json; charset=utf-8').send(text);
  });
}

interface Document {
  components?: { schemas?: Record<string, unknown> };
}

/**
 * The generator prints every schema twice, as input and as output. Twins that say the same become one,
 * and what nothing refers to goes.
 */
export function tidy<D extends object>(document: D): D {
  const schemas = (document as Document).components?.schemas ?? {};
  let text = JSON.stringify(document);
  for (const name of Object.keys(schemas)) {
    const twin = schemas[`${name}Input`];
    if (twin === undefined || !isDeepStrictEqual(merged(twin), merged(schemas[name]))) continue;
    text = text.replaceAll(`"${REF}${name}Input"`, `"${REF}${name}"`);
  }
  const once = JSON.parse(text) as D & Document;
  const all = once.components?.schemas ?? {};
  const used = reachable({ ...once, components: {} }, all);
  if (once.components !== undefined) {
    once.components.schemas = Object.fromEntries(
      Object.entries(all).filter(([name]) => used.has(name)),
    );
  }
  return once;
}

/** With the twins' names made equal. */
function merged(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema).replaceAll(/("#\/components\/schemas\/\w+?)Input"/g, '$1"'),
  );
}

function refsOf(value: unknown): string[] {
  const found = JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g);
  return [...found].map(([, name]) => name ?? '');
}

function reachable(root: unknown, schemas: Record<string, unknown>): Set<string> {
  const used = new Set<string>();
  const open = refsOf(root);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (used.has(name)) continue;
    used.add(name);
    open.push(...refsOf(schemas[name] ?? null));
  }
  return used;
}
