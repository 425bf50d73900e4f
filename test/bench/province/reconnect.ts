/** All stations come back after their broker was killed: nobody paces them but their own jittered waits. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { generate } from 'selfsigned';
import { systemClock } from '@waystation/runtime/clock';
import { auditStage } from './province.ts';
import { openStage, type Stage } from './stage.ts';

const LOOK_MS = 100;
const BACK_WITHIN_MS = 300_000;
const SETTLE_MS = 10_000;
/** More than the machine can: no gate but the stations' own. */
const UNGATED_PER_S = 5_000;
const CONNECT_PER_S = 300;

const clock = systemClock();

export interface ReconnectOptions {
  stations: number;
  seed: number;
}

/** Kills the gateway, starts it again, and watches the stations return. */
async function comeBack(stage: Stage, stations: number) {
  const killed_at = clock.mono();
  await stage.service.replaceGateway();
  const listening_s = (clock.mono() - killed_at) / 1000;
  const seen: { at: number; connected: number }[] = [];
  let lowest = stations;
  for (;;) {
    const { connected } = await stage.totals();
    const at = (clock.mono() - killed_at) / 1000;
    seen.push({ at, connected });
    lowest = Math.min(lowest, connected);
    if (lowest < stations && connected === stations) break;
    if (at * 1000 > BACK_WITHIN_MS) throw new Error(`${connected} of ${stations} after ${at} s`);
    await clock.sleep(LOOK_MS);
  }
  const seconds = seen.at(-1)?.at ?? 0;
  const half = seen.find(({ connected, at }) => at > listening_s && connected >= stations / 2);
  const busiest = seen.reduce((most, { at, connected }) => {
    const before = seen.findLast((look) => look.at <= at - 1);
    return Math.max(most, before ? (connected - before.connected) / (at - before.at) : 0);
  }, 0);
  return {
    seconds: Number(seconds.toFixed(1)),
    listening_s: Number(listening_s.toFixed(1)),
    half_back_s: Number((half?.at ?? seconds).toFixed(1)),
    handshakes_per_s: Math.round(stations / Math.max(0.1, seconds - listening_s)),
    busiest_handshakes_per_s: Math.round(busiest),
  };
}

async function certificate(directory: string) {
  const pems = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const cert_file = file('gateway.cert.pem', pems.cert);
  return { cert_file, key_file: file('gateway.key.pem', pems.private), ca_file: cert_file };
}

async function measure({ stations, seed }: ReconnectOptions, tls: boolean) {
  const stage = await openStage({
    stations,
    seed,
    scenario: 'ordinary',
    connect_per_s: CONNECT_PER_S,
    reconnect_per_s: UNGATED_PER_S,
    poll_interval_ms: 5_000,
    certificate: tls ? certificate : undefined,
  });
  try {
    await clock.sleep(SETTLE_MS);
    const back = await comeBack(stage, stations);
    const { lost, duplicated } = await auditStage(stage);
    return { ...back, lost, duplicated };
  } finally {
    await stage.stop();
  }
}

export async function benchReconnect(options: ReconnectOptions) {
  const plain = await measure(options, false);
  console.error('plain TCP', plain);
  const tls = await measure(options, true);
  console.error('TLS      ', tls);
  return { stations: options.stations, seed: options.seed, ...plain, tls };
}
