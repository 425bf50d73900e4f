/** Whether this machine lets a run have the size that was asked for: a smaller run must never pass for the whole. */
import { readFileSync } from 'node:fs';
import { Fault } from '@waystation/runtime/fault';

export interface MachineNeeds {
  /** Files and sockets that one process holds open at most. */
  open_files: number;
  /** Of all processes together. */
  memory_mb: number;
}

/** What one process may hold open: its hard limit, up to which Node raises the soft one by itself. */
export function openFilesMax(limits = readFileSync('/proc/self/limits', 'utf8')): number {
  const hard = limits.match(/^Max open files\s+\S+\s+(\S+)/m)?.[1];
  return hard === undefined || hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

export function memoryAvailableMb(meminfo = readFileSync('/proc/meminfo', 'utf8')): number {
  return Math.floor(Number(meminfo.match(/^MemAvailable:\s+(\d+) kB/m)?.[1] ?? Infinity) / 1024);
}

/** Throws Fault MACHINE_TOO_SMALL that says what is short and how to raise it. */
export function requireMachine(
  needs: MachineNeeds,
  has: MachineNeeds = { open_files: openFilesMax(), memory_mb: memoryAvailableMb() },
): void {
  if (has.open_files < needs.open_files) {
    throw new Fault('MACHINE_TOO_SMALL', {
      limit: 'open files',
      needs: needs.open_files,
      has: has.open_files,
      raise: `ulimit -n ${needs.open_files} as root, LimitNOFILE= in a unit, or nofile in /etc/security/limits.conf`,
    });
  }
  if (has.memory_mb < needs.memory_mb) {
    throw new Fault('MACHINE_TOO_SMALL', {
      limit: 'available memory in MB',
      needs: needs.memory_mb,
      has: has.memory_mb,
      raise: 'end other programs, or run it on a larger machine',
    });
  }
}
