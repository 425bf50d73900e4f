/** `npm run check`: format, lint, types. The layout is a test (test/layout). Prints each step; ends non-zero at the first failure's end. */
import { spawnSync } from 'node:child_process';

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['format', 'oxfmt', '--check', '.'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings', '.'],
  ['types', 'tsc', '-p', '.'],
  ['types of the console', 'tsc', '-p', 'dashboards/console'],
  ['layout', 'vitest', 'run', '--project', 'part', 'test/layout'],
];

let failed = 0;
for (const [name, command, ...args] of steps) {
  const started = performance.now();
  const done = spawnSync(command, args, { stdio: 'inherit' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${done.status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (done.status !== 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
