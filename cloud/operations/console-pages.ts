/** The built console at `/`: one page, and assets whose names change with their content. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Fault } from '@waystation/runtime/fault';

export const CONSOLE_PAGE = 'index.html';
/** Vite puts what is hashed there, and only that. */
const HASHED = /[\\/]assets[\\/]/;
const NOT_A_PAGE = /^\/(api|gateway|assets)\//;

/** Throws Fault CONFIG_INVALID when the console is not built. */
export async function serveConsole(app: FastifyInstance, directory: string): Promise<void> {
  if (!existsSync(join(directory, CONSOLE_PAGE))) {
    throw new Fault('CONFIG_INVALID', {
      source: directory,
      field: 'console_dir',
      problem: `there is no ${CONSOLE_PAGE}; build the console first`,
    });
  }
  await app.register(fastifyStatic, {
    root: directory,
    index: CONSOLE_PAGE,
    // Only the files there are: an unknown address of the API must not end here.
    wildcard: false,
    cacheControl: false,
    schemaHide: true,
    setHeaders(reply, path) {
      const value = HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
      void reply.header('cache-control', value);
    },
  });
}

/** The page reads its own addresses (/stations/…): for a browser that opens one, each is the same file. */
export function isPageRequest(request: FastifyRequest): boolean {
  const { method, url, headers } = request;
  return method === 'GET' && !NOT_A_PAGE.test(url) && /\btext\/html\b/.test(headers.accept ?? '');
}
