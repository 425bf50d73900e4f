import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from './durable-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'waystation-file-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('replaces the whole content and leaves nothing beside it', () => {
  const path = join(directory, 'a');
  replaceFile(path, 'a long first content');
  replaceFile(path, Uint8Array.of(1, 2));
  expect(readFileSync(path)).toEqual(Buffer.of(1, 2));
  expect(readdirSync(directory)).toEqual(['a']);
});

test('a left-over of a cut write, longer and of another mode, does no harm', () => {
  const path = join(directory, 'secret');
  writeFileSync(`${path}.new`, 'x'.repeat(1000), { mode: 0o644 });
  replaceFile(path, 'new', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a directory that is not there is an error, and the caller’s', () => {
  expect(() => replaceFile(join(directory, 'no', 'a'), 'x')).toThrow(/ENOENT/);
});
