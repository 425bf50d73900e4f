/** The built console: made once, and again when its sources changed. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '@waystation/runtime/fault';

const FOLDER = fileURLToPath(new URL('../../dashboards/console', import.meta.url));

function newestChange(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/node_modules|dist/.test(entry.parentPath))
    .reduce(
      (newest, entry) => Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs),
      0,
    );
}

/** Returns the directory to serve. Throws Fault PART_MISSING when it cannot be built. */
export function buildConsole(): string {
  const built = join(FOLDER, 'dist', 'index.html');
  if (!existsSync(built) || statSync(built).mtimeMs < newestChange(FOLDER)) {
    console.error('building the console …');
    const done = spawnSync('vite', ['build', FOLDER, '--logLevel', 'warn'], {
      stdio: ['ignore', 2, 2],
      // Whoever calls: it is always built as it ships.
      env: { ...process.env, NODE_ENV: 'production' },
    });
    if (done.status !== 0)
      throw new Fault('PART_MISSING', { part: 'console', problem: 'vite build failed' });
  }
  return join(FOLDER, 'dist');
}
