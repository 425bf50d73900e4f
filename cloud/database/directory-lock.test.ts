import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from './directory-lock.ts';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'waystation-lock-'));
  directory = join(root, 'data');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('directory lock', () => {
  it('holds against the living, and leaves nothing behind', () => {
    const lock = lockDirectory(`${directory}/`);
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({ code: 'DATABASE_LOCKED' }),
    );
    expect(readdirSync(root)).toEqual(['data.lock']);
    lock.release();
    expect(readdirSync(root)).toEqual([]);
  });

  it('holds against another process that lives', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
    writeFileSync(`${directory}.lock`, `${child.pid} ${stat.split(' ')[21]}`);
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({ code: 'DATABASE_LOCKED' }),
    );
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockDirectory(directory).release();
  });

  it.each([
    ['an empty file, as a crash may leave it', ''],
    ['a number that another process has now', `${process.pid} 1`],
    ['no number', 'who knows'],
    ['a process that is gone', '4194304 77'],
  ])('takes over from %s', (_, content) => {
    writeFileSync(`${directory}.lock`, content);
    const lock = lockDirectory(directory);
    expect(readFileSync(`${directory}.lock`, 'utf8')).toMatch(new RegExp(`^${process.pid} `));
    lock.release();
    expect(readdirSync(root)).toEqual([]);
  });
});
