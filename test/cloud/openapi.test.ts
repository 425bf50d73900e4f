/** The document says what the service does: every answer of the API is held against it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { openWorld, type CloudWorld } from './world.ts';

const Schema = z.record(z.string(), z.unknown());
const Media = z.object({ content: z.record(z.string(), z.object({ schema: Schema })).optional() });
const Operation = z.object({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()).min(1),
  requestBody: Media.optional(),
  responses: z.record(z.string(), Media),
});
const Document = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
});

let world: CloudWorld;
let document: z.output<typeof Document>;
beforeAll(async () => {
  world = await openWorld();
  document = Document.parse((await world.ask('/api/openapi.json')).body);
}, 120_000);
afterAll(() => world.stop());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
const refsOf = (value: unknown) =>
  [...JSON.stringify(value).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? '');

describe('the document', () => {
  it('resolves every reference and names nothing that is not used', () => {
    const names = Object.keys(document.components.schemas);
    const refs = new Set(refsOf(document).map((ref) => ref.replace('#/components/schemas/', '')));
    expect([...refs].toSorted()).toEqual(names.toSorted());
    expect(names.filter((name) => name.endsWith('Input'))).toEqual([]);
  });

  it('gives every operation a name of its own, and a Problem for what fails', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations()) {
      for (const status of ['4XX', '5XX']) {
        expect(refsOf(operation.responses[status]), operation.operationId).toEqual([
          '#/components/schemas/Problem',
        ]);
      }
    }
  });

  it('names every body by its component', () => {
    for (const { operation } of operations()) {
      const bodies = [operation.requestBody, ...Object.values(operation.responses)];
      for (const body of bodies) {
        for (const { schema } of Object.values(body?.content ?? {})) {
          if (schema['type'] === 'null') continue;
          const named = z
            .object({ $ref: z.string() })
            .safeParse(schema['type'] === 'array' ? schema['items'] : schema);
          expect(named.success, `${operation.operationId} ${JSON.stringify(schema)}`).toBe(true);
        }
      }
    }
  });
});

describe('the answers', () => {
  it.each([
    ['/api/v1/session', '/api/v1/session'],
    ['/api/v1/stations', '/api/v1/stations?limit=3'],
    ['/api/v1/stations/index', '/api/v1/stations/index'],
    ['/api/v1/stations/states', '/api/v1/stations/states'],
    ['/api/v1/stations/{code}', `/api/v1/stations/${DEMO_STATION}`],
    ['/api/v1/stations/{code}/events', `/api/v1/stations/${DEMO_STATION}/events`],
    [
      '/api/v1/stations/{code}/series',
      `/api/v1/stations/${DEMO_STATION}/series?measurement=co2_ppm`,
    ],
    ['/api/v1/organisations/{id}', '/api/v1/organisations/1'],
    ['/api/v1/organisations/{id}/children', '/api/v1/organisations/1/children'],
    ['/api/v1/usage/daily', '/api/v1/usage/daily'],
  ])('%s is as documented', async (path, url) => {
    const cookie = await world.signIn('viewer', 'viewer', '37');
    const { status, body } = await world.ask(url, { cookie });
    expect(status).toBe(200);
    const schema =
      document.paths[path]?.['get']?.responses['200']?.content?.['application/json']?.schema;
    expect(faultOf(body, schema ?? { missing: true }, '')).toBeNull();
  });

  it('and the checker is one that can fail', () => {
    const row = { $ref: '#/components/schemas/UsageDay' };
    expect(faultOf({ day: 'x', openings: 1, denials: 0 }, row, '')).toBeNull();
    expect(faultOf({ day: 'x', openings: 1.5, denials: 0 }, row, '')).toBe(
      '.openings: not integer',
    );
    expect(faultOf({ day: 'x', openings: 1 }, row, '')).toBe('.denials: missing');
    expect(faultOf({ day: 'x', openings: 1, denials: 0, more: 1 }, row, '')).toBe('.more: unknown');
  });
});

const Node = z.object({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(Schema).optional(),
  items: Schema.optional(),
  prefixItems: z.array(Schema).optional(),
  properties: z.record(z.string(), Schema).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.union([z.boolean(), Schema]).optional(),
});

/** A reader of the document's part of JSON Schema, not ours: where `value` departs from it, or `null`. */
function faultOf(value: unknown, schema: Record<string, unknown>, at: string): string | null {
  const node = Node.parse(schema);
  if (node.$ref !== undefined) {
    const target = document.components.schemas[node.$ref.replace('#/components/schemas/', '')];
    return target === undefined ? `${at}: no ${node.$ref}` : faultOf(value, target, at);
  }
  if (node.anyOf !== undefined) {
    const faults = node.anyOf.map((option) => faultOf(value, option, at));
    return faults.includes(null) ? null : `${at}: none of the options (${faults.join('; ')})`;
  }
  if (Array.isArray(node.type)) {
    const faults = node.type.map((type) => typeFault(value, { ...node, type }, at));
    return faults.includes(null) ? null : `${at}: none of ${node.type.join(', ')}`;
  }
  if (node.enum !== undefined && !node.enum.includes(value)) return `${at}: not in the list`;
  return typeFault(value, node, at);
}

function typeFault(value: unknown, node: z.output<typeof Node>, at: string): string | null {
  switch (node.type) {
    case 'null':
      return value === null ? null : `${at}: not null`;
    case 'integer':
      return Number.isInteger(value) ? null : `${at}: not integer`;
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === node.type ? null : `${at}: not ${node.type}`;
    case 'array': {
      if (!Array.isArray(value)) return `${at}: not array`;
      const faults = value.map((item: unknown, i) => {
        const schema = node.prefixItems?.[i] ?? node.items;
        return schema === undefined
          ? `${at}[${i}]: one too many`
          : faultOf(item, schema, `${at}[${i}]`);
      });
      return faults.find((fault) => fault !== null) ?? null;
    }
    case 'object':
      return objectFault(value, node, at);
    default:
      return `${at}: unknown type ${String(node.type)}`;
  }
}

function objectFault(value: unknown, node: z.output<typeof Node>, at: string): string | null {
  const object = z.record(z.string(), z.unknown()).safeParse(value);
  if (!object.success) return `${at}: not object`;
  const missing = (node.required ?? []).find((name) => !(name in object.data));
  if (missing !== undefined) return `${at}.${missing}: missing`;
  for (const [name, item] of Object.entries(object.data)) {
    const rest = node.additionalProperties;
    const schema = node.properties?.[name] ?? (typeof rest === 'object' ? rest : undefined);
    if (schema === undefined) {
      if (rest === false) return `${at}.${name}: unknown`;
      continue;
    }
    const fault = faultOf(item, schema, `${at}.${name}`);
    if (fault !== null) return fault;
  }
  return null;
}
