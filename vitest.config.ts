import { defineConfig } from 'vitest/config';

/** Suites on whole systems of real processes, with outages and clocks in them: one file at a time. */
const SYSTEM = ['test/{bench,browser,chaos,edge,ingest,system}/**/*.test.ts'];
const exclude = ['**/node_modules/**'];

// Three projects. `unit` stands beside the code and starts no server. The rest lives in test/: `part` holds one part against
// its contract, on real servers where it needs them; `system` runs everything together.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{protocol,runtime,edge,gateway,cloud,firmware-sim,scripts,dashboards}/**/*.test.ts',
          ],
          exclude,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'part',
          include: ['test/**/*.test.ts'],
          exclude: [...exclude, ...SYSTEM],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'system',
          include: SYSTEM,
          exclude,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
