/** Inflicts one planned fault on the world and heals it again, whatever happens in between. */
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import type { Clock } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { cutTornTails } from '@waystation/scripts/local/influx-wal';
import type { Ledger } from './ledger.ts';
import type { PlannedFault } from './plan.ts';
import type { Weather } from './proxy.ts';
import type { World } from './world.ts';

export interface Director {
  world: World;
  ledger: Ledger;
  clock: Clock;
  seed: number;
  /** Cuts every hold short. */
  signal: AbortSignal;
}

/** SQLite's write-ahead log: a frame is a header of 24 bytes and a page of 1024 (https://sqlite.org/fileformat2.html#walformat). */
const FRAME_BYTES = 24 + 1024;
/** A clock is believed again a little after it was put right: the agent looks once a second. */
const SETTLE_MS = 3_000;

/** Resolves when the target is well again. Rejects when it cannot be brought back. */
export async function inflict(director: Director, fault: PlannedFault): Promise<void> {
  const { world, ledger, clock, signal } = director;
  const { target, hold_ms } = fault;
  const hold = () => clock.sleep(hold_ms, signal);
  const began_at = clock.wall();
  ledger.note('fault', { ...fault, began_at });
  switch (fault.kind) {
    case 'kill':
    case 'restart': {
      const part = found(world.parts, target);
      await part.down(fault.kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await hold();
      await part.up();
      break;
    }
    case 'tornWrite': {
      const part = found(world.parts, target);
      await part.down('SIGKILL');
      tearWrite(director, fault);
      await hold();
      await part.up();
      break;
    }
    case 'freeze': {
      const part = found(world.parts, target);
      part.freeze();
      await hold();
      part.thaw();
      break;
    }
    case 'diskFull': {
      const disk = found(world.disks, target);
      disk.fill();
      await hold();
      disk.free();
      const part = found(world.parts, target);
      if (target === 'influxd') {
        // InfluxDB 1.x refuses every write after one that did not fit, until its operator starts it again.
        // What it then appends behind the torn entry would be gone at the start after that one.
        await part.down('SIGTERM');
        ledger.note('wal_cut', { segments: cutTornTails(join(disk.path, 'wal')) });
      }
      await part.up(); // PostgreSQL may have given up
      break;
    }
    case 'clockJump': {
      const faked = found(world.clocks, target);
      faked.jump(fault.amount);
      await hold();
      faked.jump(0);
      const station = world.stations.find(({ edge }) => edge === target)?.code ?? '';
      ledger.jumped({ station, from: began_at, to: clock.wall() + SETTLE_MS });
      break;
    }
    case 'cut':
    case 'blackHole':
    case 'stall':
    case 'delay':
    case 'throttle': {
      const proxy = found(world.proxies, target);
      proxy.set(weatherOf(fault.kind, fault.amount));
      await hold();
      proxy.set({ w: 'pass' });
      break;
    }
    default:
      fault.kind satisfies never;
  }
  ledger.note('healed', { number: fault.number, at: clock.wall() });
}

/** What a write in flight leaves behind at a power cut: the beginning of a frame that was never synced. */
function tearWrite({ world, seed }: Director, fault: PlannedFault): void {
  const random = prng(seed + fault.number);
  const data_dir = world.stations.find(({ edge }) => edge === fault.target)?.data_dir ?? '';
  const wal = join(data_dir, 'outbox.db-wal');
  if (!existsSync(wal)) return;
  const bytes = 1 + Math.floor(random() * (FRAME_BYTES - 1));
  appendFileSync(
    wal,
    Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256)),
  );
}

function weatherOf(
  kind: 'cut' | 'blackHole' | 'stall' | 'delay' | 'throttle',
  amount: number,
): Weather {
  if (kind === 'delay') return { w: kind, delay_ms: amount };
  if (kind === 'throttle') return { w: kind, bytes_per_s: amount };
  return { w: kind };
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  assert(value !== undefined, `the plan names ${name}, which this world has not`);
  return value;
}
