/**
 * `npm test`: every suite, real servers and a real browser included. Installs the distribution's programs it needs where
 * it may, else says the one command that does. With CI set, a missing part ends the run: nothing is skipped.
 * The last line, alone, is `N passed, N failed, N skipped`, taken from the runner's own report.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Side by side on two cores: whole systems wait more than they work. The first one's lines are shown as they come. */
const LANES = [
  { name: 'system', projects: ['system'] },
  { name: 'units and parts', projects: ['part', 'unit'] },
] as const;

/** Runs the projects one after the other in a runner of their own. A runner without a report counts as one failure. */
async function runLane(lane: (typeof LANES)[number], directory: string): Promise<Counts> {
  const report_path = join(directory, `${lane.projects[0]}.json`);
  const chosen = process.argv.slice(2);
  const runner = spawn(
    'vitest',
    [
      'run',
      ...lane.projects.flatMap((project) => ['--project', project]),
      ...chosen,
      ...(chosen.length > 0 ? ['--passWithNoTests'] : []),
      ...(lane === LANES[0] ? [] : ['--maxWorkers=1']),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report_path}`,
    ],
    { stdio: ['ignore', lane === LANES[0] ? 'inherit' : 'pipe', 'inherit'] },
  );
  const later: Buffer[] = [];
  runner.stdout?.on('data', (chunk: Buffer) => later.push(chunk));
  const [status] = await once(runner, 'close');
  process.stdout.write(Buffer.concat(later));
  const report = existsSync(report_path)
    ? Report.safeParse(JSON.parse(readFileSync(report_path, 'utf8')))
    : null;
  if (!report?.success) {
    console.error(`the runner of ${lane.name} left no report`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, ...rest } = report.data;
  // A suite that could not even be loaded counts as one failure.
  const broken = rest.numFailedTestSuites > 0 || status !== 0 || !rest.success;
  return {
    passed: numPassedTests,
    failed: Math.max(numFailedTests, broken ? 1 : 0),
    skipped: numPendingTests + numTodoTests,
  };
}

async function run(): Promise<number> {
  const missing = installMissingParts();
  if (missing.length > 0) {
    console.error(`The tests need these packages of the distribution: ${missing.join(', ')}`);
    console.error(`Install them with: ${installCommand(missing)}`);
    console.log('0 passed, 1 failed, 0 skipped');
    return 1;
  }
  const built = spawnSync('vite', ['build', 'dashboards/console', '--logLevel', 'warn'], {
    stdio: 'inherit',
  });
  const directory = mkdtempSync(join(tmpdir(), 'waystation-test-'));
  const lanes = await Promise.all(LANES.map((lane) => runLane(lane, directory)));
  rmSync(directory, { recursive: true, force: true });
  const sum = (pick: (lane: Counts) => number) => lanes.reduce((all, lane) => all + pick(lane), 0);
  const passed = sum((lane) => lane.passed);
  const failed = sum((lane) => lane.failed);
  const skipped = sum((lane) => lane.skipped);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return built.status === 0 && passed > 0 && failed === 0 && skipped === 0 ? 0 : 1;
}

process.exitCode = await run();
