import { expect, test } from 'vitest';
import { memoryAvailableMb, openFilesMax, requireMachine } from './machine.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             95000                95000                processes
Max open files            1024                 20000                files
`;

test('a process may open as many files as its hard limit says', () => {
  expect(openFilesMax(LIMITS)).toBe(20_000);
  expect(openFilesMax(LIMITS.replace('20000', 'unlimited'))).toBe(Number.POSITIVE_INFINITY);
  expect(openFilesMax()).toBeGreaterThan(0);
});

test('memory is what programs may still have', () => {
  expect(memoryAvailableMb('MemTotal: 24000000 kB\nMemAvailable:   2097152 kB\n')).toBe(2048);
});

test('what is short is named with the way to raise it', () => {
  const has = { open_files: 1_024, memory_mb: 4_000 };
  expect(() => requireMachine({ open_files: 1_024, memory_mb: 4_000 }, has)).not.toThrow();
  expect(() => requireMachine({ open_files: 11_000, memory_mb: 10 }, has)).toThrow(
    /MACHINE_TOO_SMALL.*open files.*11000.*1024.*ulimit -n 11000/,
  );
  expect(() => requireMachine({ open_files: 10, memory_mb: 5_000 }, has)).toThrow(
    /available memory in MB.*5000.*4000/,
  );
});
