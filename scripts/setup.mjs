// Makes a fresh clone ready: installs the locked packages, Node 24 among them, when they are missing or out of date.
// Plain JavaScript for any Node >= 20, because it runs before the pinned Node is there.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp_path = join(root, 'node_modules', '.waystation-lock');
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installed = existsSync(stamp_path) && readFileSync(stamp_path, 'utf8') === lock;

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(
    `Node ${process.versions.node} is too old to install with: any Node >= 20 will do.`,
  );
  process.exit(1);
}
if (!installed) {
  console.error('installing the locked packages (once) …');
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []];
  const done = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (done.status !== 0) {
    console.error('npm ci failed: read the lines above; the registry may be out of reach.');
    process.exit(done.status ?? 1);
  }
  writeFileSync(stamp_path, lock);
}
