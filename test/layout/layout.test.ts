/**
 * Architecture and taste as a test: who may import whom, what only a clock or a main.ts may touch, names and sizes.
 * Each refusal says what to use instead.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = new URL('../..', import.meta.url);
const files = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.tsx'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\n')
  .filter(Boolean);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
/** Without comments: prose may speak of what code may not do. */
const code = (path: string) => read(path).replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
const isTest = (path: string) => path.endsWith('.test.ts') || path.startsWith('test/');

/** Folder → folders of ours that it may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  runtime: ['protocol'],
  edge: ['protocol', 'runtime'],
  gateway: ['protocol', 'runtime'],
  cloud: ['protocol', 'runtime'],
  dashboards: ['protocol'],
  'firmware-sim': ['protocol', 'runtime', 'edge'],
  scripts: ['protocol', 'runtime', 'cloud', 'firmware-sim', 'test'],
  test: [
    'protocol',
    'runtime',
    'edge',
    'gateway',
    'cloud',
    'dashboards',
    'firmware-sim',
    'scripts',
  ],
};

/** Outside the fleet, the simulator must not see the agent: it writes its own bytes, so that a mistake in ours shows. */
const FLEET = /^firmware-sim\/(fleet\/|device-line)/;

const BANS: readonly { pattern: RegExp; use: string; except: RegExp }[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)/,
    use: 'Clock.wall()',
    except: /^runtime\/clock\.ts$|^scripts\/|^dashboards\//,
  },
  {
    pattern: /\bperformance\.now\(/,
    use: 'Clock.mono()',
    except: /^runtime\/clock\.ts$|^scripts\/|^dashboards\//,
  },
  {
    pattern: /\b(setTimeout|setInterval)\(/,
    use: 'Clock.after, Clock.every',
    except: /^runtime\/clock\.ts$|^scripts\/|^dashboards\//,
  },
  { pattern: /\bMath\.random\(/, use: 'random: () => number', except: /main\.tsx?$|^scripts\// },
  { pattern: /\bprocess\.env\b/, use: 'a configuration field', except: /main\.tsx?$|^scripts\// },
  { pattern: /^\s*(export\s+)?(const\s+)?enum\s/m, use: 'an `as const` table', except: /^$/ },
  { pattern: /^\s*(export\s+)?namespace\s/m, use: 'a module', except: /^$/ },
  { pattern: /@ts-(ignore|nocheck|expect-error)/, use: 'a type that is true', except: /^$/ },
  { pattern: /(?:\bas|:) any\b/, use: 'unknown and a check', except: /^$/ },
  { pattern: /\.skip\(|\.only\(|\.todo\(/, use: 'a test that runs', except: /^$/ },
];

function importsOf(path: string): string[] {
  return [...read(path).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
}

function folderOf(path: string, target: string): string | null {
  const ours = target.match(/^@waystation\/([^/]+)/);
  if (ours) return ours[1] === 'console' || ours[1] === 'member' ? 'dashboards' : (ours[1] ?? null);
  if (!target.startsWith('.')) return null;
  return posix.join(posix.dirname(path), target).split('/')[0] ?? null;
}

describe('layout', () => {
  test('imports go only in the directions of the house', () => {
    const wrong = files.flatMap((path) => {
      const owner = path.split('/')[0] ?? '';
      const allowed =
        isTest(path) && owner !== 'protocol' && owner !== 'dashboards'
          ? MAY_IMPORT['test']
          : MAY_IMPORT[owner];
      if (allowed === undefined) return [];
      return importsOf(path).flatMap((target) => {
        const folder = folderOf(path, target);
        if (folder === null || folder === owner) return [];
        if (!allowed.includes(folder)) return [`${path}: must not import ${target}`];
        if (target.startsWith('.'))
          return [`${path}: import ${folder} as @waystation/${folder}/…, not ${target}`];
        if (owner === 'firmware-sim' && folder === 'edge' && !FLEET.test(path) && !isTest(path))
          return [`${path}: only the fleet may import the agent`];
        return [];
      });
    });
    expect(wrong).toEqual([]);
  });

  test('time, chance and environment come from outside; silenced types and parked tests do not exist', () => {
    const wrong = files
      .filter((path) => path !== 'test/layout/layout.test.ts')
      .flatMap((path) =>
        BANS.filter(({ pattern, except }) => !except.test(path) && pattern.test(code(path)))
          .filter(({ use }) => !(isTest(path) && /Clock|random|configuration/.test(use)))
          .map(({ pattern, use }) => `${path}: ${pattern} → use ${use}`),
      );
    expect(wrong).toEqual([]);
  });

  test('names say what is inside', () => {
    const empty = files.filter((path) =>
      /(^|\/)(utils?|helpers?|common|misc|manager)[^/]*(\/|$)/i.test(path),
    );
    expect(empty).toEqual([]);
    const cased = files.filter(
      (path) =>
        !/^[a-z0-9-]+(\.[a-z0-9-]+)*\.tsx?$/.test(posix.basename(path)) && !path.endsWith('.tsx'),
    );
    expect(cased).toEqual([]);
  });

  test('a file is one idea: at most 400 lines', () => {
    const long = files
      .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
      .filter(({ lines }) => lines > 400);
    expect(long).toEqual([]);
  });

  test('every file of the product says in its first line what it is', () => {
    const silent = files.filter(
      (path) =>
        !isTest(path) &&
        !path.endsWith('.d.ts') &&
        !/^(\/\*\*|\/\/|\/\*)/.test(read(path)) &&
        !/^import .*vite/.test(read(path)),
    );
    expect(silent).toEqual([]);
  });

  test('the card is small on the phone: nothing under protocol/card imports zod, directly or not', () => {
    const seen = new Set<string>();
    const visit = (path: string) => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const target of importsOf(path)) {
        expect(target, path).not.toBe('zod');
        if (target.startsWith('.')) visit(posix.join(posix.dirname(path), target));
      }
    };
    files.filter((path) => path.startsWith('protocol/card/') && !isTest(path)).forEach(visit);
  });
});
