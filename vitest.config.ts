import { defineConfig } from 'vitest/config';

// Two projects: `unit` stands beside the code and starts no server;
// `system` lives in test/ and starts real servers, ptys and browsers.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{protocol,runtime,edge,gateway,cloud,firmware-sim,scripts,dashboards}/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
