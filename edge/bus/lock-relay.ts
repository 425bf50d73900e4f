/** The lock relay: commanded ahead of every poll, believed only when the coil reads back as commanded. */
import { COILS, HOLDING_REGISTERS, UNITS } from '@waystation/protocol/registers';
import { monoMs, type Clock, type MonoMs } from '@waystation/runtime/clock';
import { Fault, type Facts } from '@waystation/runtime/fault';
import type { MasterFailure, RtuMaster } from './rtu-master.ts';

/** A command that was lost on the line or not confirmed is given once more while it has not expired. */
const LOCK_ATTEMPTS = 2;
const LOCK = { unit: UNITS[COILS.lockRelease.unit], address: COILS.lockRelease.address } as const;
const RELEASE_TIME = HOLDING_REGISTERS.releaseTime;

export interface LockRelay {
  /** See FieldIo.setLockRelease. A newer command ends the attempts of an older one, which rejects with MODBUS_EXPIRED. */
  set(on: boolean, options: { expire_ms: number; sent?: () => void }): Promise<void>;
  /** Tells the controller how long it keeps the lock released at most; true when it read back as written. */
  writeReleaseTime(release_ms: number): Promise<boolean>;
}

export function lockRelay(master: RtuMaster, clock: Pick<Clock, 'mono'>): LockRelay {
  let newest = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const attempt = async (on: boolean, deadline: MonoMs, sent: () => void): Promise<Attempt> => {
    const expire_ms = deadline - clock.mono();
    const write = await master.request({ fc: 5, ...LOCK, on }, { urgent: true, expire_ms, sent });
    if (!write.ok && !mayHaveArrived(write)) return { a: 'failed', fault: busFault(write, { on }) };
    // The echo of a write proves nothing: an adapter that hears itself echoes for a dead controller too.
    const seen = await master.request({ fc: 1, ...LOCK, count: 1 }, { urgent: true });
    if (!seen.ok) return { a: 'doubtful', fault: busFault(seen, { on }) };
    if ((seen.values[0] === 1) === on) return { a: 'confirmed' };
    const fault = write.ok ? new Fault('LOCK_UNCONFIRMED', { on }) : busFault(write, { on });
    return { a: 'doubtful', fault };
  };
  const drive = async (
    on: boolean,
    isOld: () => boolean,
    deadline: MonoMs,
    sent?: () => void,
  ): Promise<Fault | null> => {
    let told = false;
    const tellOnce = () => {
      if (!told) sent?.();
      told = true;
    };
    let fault = new Fault('MODBUS_EXPIRED', { on, reason: 'a newer command came' });
    for (let count = 0; count < LOCK_ATTEMPTS; count += 1) {
      if (isOld() || (count > 0 && clock.mono() > deadline)) break;
      const result = await attempt(on, deadline, tellOnce);
      if (result.a === 'confirmed') return null;
      fault = result.fault;
      if (result.a === 'failed') break;
    }
    return fault;
  };

  return {
    async set(on, { expire_ms, sent }) {
      newest += 1;
      const order = newest;
      const deadline = monoMs(clock.mono() + expire_ms);
      const result = turn.then(() => drive(on, () => order !== newest, deadline, sent));
      turn = result;
      const fault = await result;
      if (fault !== null) throw fault;
    },
    async writeReleaseTime(release_ms) {
      const { min, max, scale, address } = RELEASE_TIME;
      const value = Math.round(Math.min(max, Math.max(min, release_ms / 1000)) / scale);
      const unit = UNITS[RELEASE_TIME.unit];
      const write = await master.request({ fc: 6, unit, address, value });
      if (!write.ok) return false;
      const seen = await master.request({ fc: 3, unit, address, count: 1 });
      return seen.ok && seen.values[0] === value;
    },
  };
}

type Attempt = { a: 'confirmed' } | { a: 'doubtful' | 'failed'; fault: Fault };

/** The reply was lost, the command perhaps not. */
function mayHaveArrived(failure: MasterFailure): boolean {
  return failure.failure === 'timeout' || failure.failure === 'crc';
}

const FAULT_OF = {
  timeout: 'MODBUS_TIMEOUT',
  crc: 'MODBUS_CRC',
  exception: 'MODBUS_EXCEPTION',
  lost: 'SERIAL_CLOSED',
  closed: 'SERIAL_CLOSED',
  expired: 'MODBUS_EXPIRED',
  full: 'MODBUS_EXPIRED',
  offline: 'MODBUS_EXPIRED',
} as const;

function busFault(failure: MasterFailure, facts: Facts): Fault {
  const exception = failure.failure === 'exception' ? { exception: failure.code } : {};
  return new Fault(FAULT_OF[failure.failure], { ...facts, ...exception });
}
