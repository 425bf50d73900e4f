import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isFault } from '@waystation/runtime/fault';
import { cutTornTails } from './influx-wal.ts';

const WHOLE = Buffer.from([1, 0, 0, 0, 2, 7, 7]);
const TORN = Buffer.from([1, 0, 0, 0, 9, 7]);

let directory: string;
let torn: string;
let whole: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'influx-wal-'));
  const shard = join(directory, 'telemetry', 'autogen', '1');
  mkdirSync(shard, { recursive: true });
  torn = join(shard, '_00001.wal');
  whole = join(shard, '_00002.wal');
  writeFileSync(torn, Buffer.concat([WHOLE, TORN]));
  writeFileSync(whole, WHOLE);
});
afterEach(() => rmSync(directory, { recursive: true }));

function faultOf(at: string): unknown {
  try {
    return cutTornTails(at);
  } catch (error) {
    return error;
  }
}

test('a torn tail is cut and kept beside its segment, a whole segment is left alone', () => {
  expect(cutTornTails(directory)).toEqual([
    { file: torn, bytes_kept: WHOLE.length, bytes_cut: TORN.length },
    { file: whole, bytes_kept: WHOLE.length, bytes_cut: 0 },
  ]);
  expect(readFileSync(torn)).toEqual(WHOLE);
  expect(readFileSync(whole)).toEqual(WHOLE);
  expect(readFileSync(`${torn}.cut-at-${WHOLE.length}`)).toEqual(TORN);
  expect(cutTornTails(directory).map(({ bytes_cut }) => bytes_cut)).toEqual([0, 0]);
});

test('a second tail cut at the same place does not write over the first', () => {
  cutTornTails(directory);
  writeFileSync(torn, TORN, { flag: 'a' });
  cutTornTails(directory);
  expect(readFileSync(`${torn}.cut-at-${WHOLE.length}`)).toEqual(Buffer.concat([TORN, TORN]));
});

test('nothing is cut while a process has a segment open', () => {
  const file = openSync(whole, 'r');
  const thrown = faultOf(directory);
  closeSync(file);
  expect(isFault(thrown, 'DATABASE_LOCKED') && thrown.facts['pid']).toBe(process.pid);
  expect(readFileSync(torn)).toEqual(Buffer.concat([WHOLE, TORN]));
});

test('a directory that is not there is a coded refusal', () => {
  expect(isFault(faultOf(join(directory, 'elsewhere')), 'USAGE')).toBe(true);
  expect(isFault(faultOf(whole), 'USAGE')).toBe(true);
});
