/** Each workspace lists exactly what it imports, in exact versions, and README says why each runtime dependency is there. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { expect, test } from 'vitest';
import { z } from 'zod';

const root = new URL('../..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const list = (...patterns: string[]) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...patterns], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter(Boolean);

const Manifest = z.looseObject({
  name: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});
const manifests = list('*/package.json', 'dashboards/*/package.json').map((path) => ({
  folder: path.replace('/package.json', ''),
  ...Manifest.parse(JSON.parse(read(path))),
}));

/** Needed without an import of ours: peers, types, what a configuration names. */
const UNSEEN = /^@types\/|^@mantine\/hooks$|^vite$|^@vitejs\/plugin-react$/;
/** What the root offers to every test. */
const ROOT_TOOLS = ['vitest', 'vitest/config', 'fast-check', 'vite'];

function packageOf(target: string): string {
  const [scope = '', name = ''] = target.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}

function imports(folder: string): { path: string; packages: string[] }[] {
  return list(
    `${folder}/**/*.ts`,
    `${folder}/**/*.tsx`,
    `${folder}/*.ts`,
    `${folder}/**/*.css`,
  ).map((path) => ({
    path,
    packages: [...read(path).matchAll(/(?:^import |from |import\()'([@a-z][\w@/.-]*)'/gm)]
      .map((match) => match[1] ?? '')
      .filter((target) => !target.startsWith('node:') && !builtinModules.includes(target))
      .map(packageOf),
  }));
}

test.each(manifests)('$folder lists exactly what it imports', (manifest) => {
  const files = imports(manifest.folder);
  const listed = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
  const known = new Set([...listed, ...ROOT_TOOLS, manifest.name]);
  const unlisted = files.flatMap(({ path, packages }) =>
    packages
      .filter((name) => !known.has(name) && !known.has(`@types/${name}`))
      .map((name) => `${path}: ${name}`),
  );
  expect(unlisted).toEqual([]);
  const used = new Set(files.flatMap(({ packages }) => packages));
  expect(listed.filter((name) => !used.has(name) && !UNSEEN.test(name))).toEqual([]);
});

test('versions are exact, and README names every runtime dependency', () => {
  const readme = read('README.md');
  const families = [...readme.matchAll(/`(@[a-z-]+)\/\*`/g)].map((match) => `${match[1]}/`);
  for (const { dependencies, devDependencies, folder } of manifests) {
    for (const version of [...Object.values(dependencies), ...Object.values(devDependencies)])
      expect(version, folder).toMatch(/^\d+\.\d+\.\d+$/);
    const silent = Object.keys(dependencies).filter(
      (name) =>
        !name.startsWith('@waystation/') &&
        !families.some((family) => name.startsWith(family)) &&
        !new RegExp(`(^|[\\s|\`])${name}([\`,\\s])`, 'm').test(readme),
    );
    expect(silent, folder).toEqual([]);
  }
});
