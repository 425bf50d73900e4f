// Makes a fresh clone ready: installs the locked packages, Node 24 among them, when they are missing or out of date.
// Plain JavaScript for any Node >= 20, because it runs before the pinned Node is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What a lock file lists: path below the project → version. */
function packagesOf(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : {};
}

/** npm notes what it installed in the same form as the lock. Optional packages differ from system to system. */
function isInstalled() {
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
    ([path, { version, link, optional }]) =>
      !path.startsWith('node_modules/') || link || optional || installed[path]?.version === version,
  );
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(
    `Node ${process.versions.node} is too old to install with: any Node >= 20 will do.`,
  );
  process.exit(1);
}
if (!isInstalled()) {
  console.error('installing the locked packages (once) …');
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []];
  // Not `npm ci`: it refuses a lock as soon as the registry lacks one optional package of another system.
  const options = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const done = spawnSync(command, [...args, ...options], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (done.status !== 0) {
    console.error('npm install failed: read the lines above; the registry may be out of reach.');
    process.exit(done.status ?? 1);
  }
}
