/**
 * Makes `edge/dist/edge.mjs`: the agent as one file, as a station's box runs it (type stripping alone costs 20 MB there).
 * Native parts stay beside it: the serial port's addon, and koffi, which asks the kernel about its clock.
 */
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const BUNDLE = path('dist/edge.mjs');
/** Installed on the box by npm, for its processor and C library. */
const NATIVE = ['@serialport/bindings-cpp', 'koffi'];

/** zod carries its messages in fifty languages; faults here speak one (3 MB of memory). */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup(build) {
    build.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

export async function bundleEdge(): Promise<string> {
  await build({
    entryPoints: [path('main.ts')],
    outfile: BUNDLE,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    external: NATIVE,
    plugins: [oneLanguage],
    // CommonJS parts of mqtt.js call require() for Node's own modules.
    banner: {
      js: "import{createRequire as $require}from'node:module';const require=$require(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return BUNDLE;
}

if (import.meta.main) await bundleEdge();
