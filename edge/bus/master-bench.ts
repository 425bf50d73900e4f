/** A master and a misbehaving slave on one line, for the tests of this folder. */
import { expect } from 'vitest';
import { fakeClock, monoMs } from '@waystation/runtime/clock';
import { memoryLinePair } from './memory-line.ts';
import { silentGapMs, type RtuRequest } from './rtu-frame.ts';
import { rtuMaster } from './rtu-master.ts';
import { LINE_TIMING } from './rtu-transaction.ts';
import { scriptedSlave } from './scripted-slave.ts';

export const READ: RtuRequest = { fc: 4, unit: 1, address: 0, count: 2 };
export const INPUTS: RtuRequest = { fc: 2, unit: 1, address: 0, count: 16 };
export const COIL_ON: RtuRequest = { fc: 5, unit: 1, address: 0, on: true };
export const OTHER_UNIT: RtuRequest = { fc: 4, unit: 2, address: 0, count: 1 };
/** The line has been silent for so long when a test begins. */
export const START_MS = 10;

/** A master and a slave on one line; `skew_ms` moves the master's clock ahead of its timers, as a blocked loop does. */
export async function masterBench(options: { local_echo?: boolean } = {}) {
  const clock = fakeClock();
  const skew = { ms: 0 };
  const { agent, device } = memoryLinePair(clock);
  const slave = scriptedSlave(device, clock, {
    1: {
      coils: [false, false],
      inputs: Array.from({ length: 16 }, (_, at) => at % 3 === 0),
      words: [700, 800],
      holding: [5],
    },
    2: { words: [22] },
  });
  const timing = {
    ...LINE_TIMING,
    gap_ms: silentGapMs(19_200),
    local_echo: options.local_echo ?? false,
  };
  const master = rtuMaster(agent, { ...clock, mono: () => monoMs(clock.mono() + skew.ms) }, timing);
  const told: string[] = [];
  master.onUnit((unit, online, reason) =>
    told.push(`${unit} ${online ? 'online' : 'offline'}: ${reason}`),
  );
  /** The outcome and when it came. */
  const ask = async (request: RtuRequest, wait_ms = 1000) => {
    const started = clock.mono();
    let at = Number.NaN;
    const asked = master.request(request).then((outcome) => {
      at = clock.mono() - started;
      return outcome;
    });
    await clock.advance(wait_ms);
    return { outcome: await asked, took_ms: at };
  };
  /** Three more calls, all of which must be right. */
  const threeMore = async () => {
    for (let count = 0; count < 3; count += 1) {
      expect((await ask(READ)).outcome).toEqual({ ok: true, values: [700, 800] });
    }
  };
  await clock.advance(START_MS);
  return { clock, skew, agent, device, slave, master, told, ask, threeMore };
}
