/** The unions' tree, one level at a time, with the stations of each subtree by status. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { OrganisationRow, QueryRowId, STATION_STATUSES } from '@waystation/protocol/api';
import { Fault } from '@waystation/runtime/fault';
import type { Access } from '../accounts/access.ts';
import { inSubtree, isInSubtree } from '../accounts/scope.ts';
import type { Schema } from '../database/schema.ts';
import type { StatusBoard } from '../stations/board.ts';
import type { Directory } from '../stations/directory.ts';

interface Parts {
  db: Kysely<Schema>;
  access: Access;
  directory: Directory;
  board: StatusBoard;
}

const Params = z.strictObject({ id: QueryRowId });

/** Stations below `root`, by the organisation `depth` levels below it that they belong to, and by status. */
export function countByStatus(
  { directory, board }: Pick<Parts, 'directory' | 'board'>,
  root: string,
  depth: 0 | 1,
): Map<number, number[]> {
  const place_in_path = root.split('.').length - 1 + depth;
  const counts = new Map<number, number[]>();
  directory.entries.forEach(({ path }, place) => {
    if (!isInSubtree(path, root)) return;
    const id = Number(path.split('.')[place_in_path]);
    const row = counts.get(id) ?? STATION_STATUSES.map(() => 0);
    const status = board.statuses[place] ?? 0;
    row[status] = (row[status] ?? 0) + 1;
    counts.set(id, row);
  });
  return counts;
}

export function organisationRoutes(parts: Parts): FastifyPluginAsyncZod {
  const { db, access } = parts;

  /** Throws Fault NOT_FOUND for what the account may not see. */
  async function find(path: string, id: number) {
    const row = await db
      .selectFrom('organisation')
      .select(['id', 'parent', 'level', 'name', 'adcode', 'path'])
      .where('id', '=', id)
      .where(inSubtree(path))
      .executeTakeFirst();
    if (row === undefined) throw new Fault('NOT_FOUND', { problem: `no organisation ${id}` });
    return row;
  }
  function counted<T extends { id: number }>(row: T, counts: Map<number, number[]>) {
    const by_status = counts.get(row.id) ?? STATION_STATUSES.map(() => 0);
    return { ...row, stations: by_status.reduce((a, b) => a + b, 0), by_status };
  }

  return async (app) => {
    app.route({
      method: 'GET',
      url: '/organisations/:id',
      schema: {
        operationId: 'readOrganisation',
        tags: ['organisations'],
        summary: 'An organisation with its stations by status',
        params: Params,
        response: { 200: OrganisationRow },
      },
      async handler(request) {
        const { path, ...row } = await find(access.actorOf(request).path, request.params.id);
        return counted(row, countByStatus(parts, path, 0));
      },
    });
    app.route({
      method: 'GET',
      url: '/organisations/:id/children',
      schema: {
        operationId: 'listChildren',
        tags: ['organisations'],
        summary: 'The organisations directly below, each with its stations by status',
        params: Params,
        response: { 200: z.array(OrganisationRow) },
      },
      async handler(request) {
        const parent = await find(access.actorOf(request).path, request.params.id);
        const rows = await db
          .selectFrom('organisation')
          .select(['id', 'parent', 'level', 'name', 'adcode'])
          .where('parent', '=', parent.id)
          .where(inSubtree(parent.path))
          .orderBy('adcode')
          .execute();
        const counts = countByStatus(parts, parent.path, 1);
        return rows.map((row) => counted(row, counts));
      },
    });
  };
}
