/** The door: last byte of the scan → lock coil frame on the bus, the event already fsynced. Real agent, real pseudo-terminals. */
import { join } from 'node:path';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { openMember } from '@waystation/scripts/local/member';
import { connectSimulator } from '@waystation/scripts/local/simulator';
import { demoDirectory } from '@waystation/scripts/local/stack';
import { percentile } from './percentile.ts';
import { startStationStack } from './station-stack.ts';

/** The door is used like a busy one: a scan, somebody walks through, the next scan. */
export async function benchDoor(seconds: number) {
  const { directory, stack, end } = await startStationStack('bench-door');
  try {
    const member = await openMember(join(directory, 'members'), 'bench', stack.url, Date.now());
    const simulator = await connectSimulator(join(demoDirectory(directory), 'simulator.sock'));
    const times_ms: number[] = [];
    const refused: Record<string, number> = {};
    const until = performance.now() + seconds * 1000;
    while (performance.now() < until) {
      const answer = await simulator.scan(DEMO_STATION, member.present(Date.now()));
      if (answer.outcome === 'granted' && typeof answer.decision_ms === 'number')
        times_ms.push(answer.decision_ms);
      else
        refused[answer.denial ?? answer.outcome] =
          (refused[answer.denial ?? answer.outcome] ?? 0) + 1;
      await simulator.ask({ do: 'prompt', line: 'open' });
      await simulator.ask({ do: 'prompt', line: 'close' });
    }
    simulator.close();
    if (Object.keys(refused).length > 0) console.error('refused', refused);
    return {
      n: times_ms.length,
      p50_ms: percentile(times_ms, 50),
      p99_ms: percentile(times_ms, 99),
      max_ms: percentile(times_ms, 100),
    };
  } finally {
    await end();
  }
}
