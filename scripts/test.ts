/**
 * `npm test`: every suite, real servers and a real browser included. Installs the distribution's programs it needs where
 * it may, else says the one command that does. With CI set, a missing part ends the run: nothing is skipped.
 * The last line, alone, is `N passed, N failed, N skipped`, taken from the runner's own report.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { installCommand, installMissingParts } from '@waystation/test/servers/parts';

const Report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int().default(0),
  numFailedTestSuites: z.int(),
  success: z.boolean(),
});

function run(): number {
  const missing = installMissingParts();
  if (missing.length > 0) {
    console.error(`The tests need these packages of the distribution: ${missing.join(', ')}`);
    console.error(`Install them with: ${installCommand(missing)}`);
    console.log('0 passed, 1 failed, 0 skipped');
    return 1;
  }
  const directory = mkdtempSync(join(tmpdir(), 'waystation-test-'));
  const report_path = join(directory, 'report.json');
  const built = spawnSync('vite', ['build', 'dashboards/console', '--logLevel', 'warn'], {
    stdio: 'inherit',
  });
  const done = spawnSync(
    'vitest',
    [
      'run',
      ...process.argv.slice(2),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report_path}`,
    ],
    { stdio: 'inherit' },
  );
  const report = existsSync(report_path)
    ? Report.safeParse(JSON.parse(readFileSync(report_path, 'utf8')))
    : null;
  rmSync(directory, { recursive: true, force: true });
  if (!report?.success) {
    console.error('the test runner left no report');
    console.log('0 passed, 1 failed, 0 skipped');
    return 1;
  }
  const {
    numPassedTests,
    numFailedTests,
    numPendingTests,
    numTodoTests,
    numFailedTestSuites,
    success,
  } = report.data;
  const skipped = numPendingTests + numTodoTests;
  // A suite that could not even be loaded counts as one failure.
  const failed = Math.max(numFailedTests, numFailedTestSuites > 0 || done.status !== 0 ? 1 : 0);
  console.log(`${numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
  return success && done.status === 0 && built.status === 0 && numPassedTests > 0 && skipped === 0
    ? 0
    : 1;
}

process.exitCode = run();
