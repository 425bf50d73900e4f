/** `npm run bench -- NAME [--seconds N]`: runs one benchmark; what a person reads goes to standard error, the last line is JSON. */
import { parseArgs } from 'node:util';
import { Fault, isFault } from '@waystation/runtime/fault';
import { benchCard } from './card.ts';
import { benchDoor } from './door.ts';
import { benchEdge } from './edge.ts';
import { benchIngest } from './ingest/ingest.ts';

const BENCHES = {
  door: benchDoor,
  ingest: benchIngest,
  edge: benchEdge,
  card: benchCard,
} as const satisfies Record<string, (seconds: number) => Promise<object> | object>;

async function main(): Promise<void> {
  let parsed: { values: { seconds?: string }; positionals: string[] };
  try {
    parsed = parseArgs({
      options: { seconds: { type: 'string' } },
      allowPositionals: true,
      strict: true,
    });
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { problem: cause instanceof Error ? cause.message : String(cause) },
      cause,
    );
  }
  const name = Object.keys(BENCHES).find(
    (known): known is keyof typeof BENCHES => known === parsed.positionals[0],
  );
  const seconds = Number(parsed.values.seconds ?? '20');
  if (name === undefined || parsed.positionals.length !== 1)
    throw new Fault('USAGE', { problem: `name one of ${Object.keys(BENCHES).join(', ')}` });
  if (!(seconds >= 1 && seconds <= 3600))
    throw new Fault('USAGE', { flag: '--seconds', problem: 'is not from 1 to 3600' });
  const figures = await BENCHES[name](seconds);
  console.log(JSON.stringify(figures));
}

try {
  await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
