/** `npm run scan -- --station CODE [--member NAME]`: shows a member's QR to a running station's reader and prints the decision. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { parseStationCode } from '@waystation/protocol/station-code';
import { Fault, isFault } from '@waystation/runtime/fault';
import { callersPath, readFlags } from './local/flags.ts';
import { openMember } from './local/member.ts';
import { connectSimulator } from './local/simulator.ts';
import { demoDirectory, fleetDirectory } from './local/stack.ts';

const USAGE = `npm run scan -- [options]
  --station CODE   a station's code, or demo (demo)
  --member NAME    whose card; enrolled with the running cloud the first time (演示会员)
  --data DIR       data directory of the running npm start (.waystation)
  --url URL        its console (http://127.0.0.1:8080)
  --text TEXT      show this text instead of a card's code
  --print          print the code's text and show nothing
`;

const OPTIONS = {
  station: { type: 'string', default: 'demo' },
  member: { type: 'string', default: '演示会员' },
  data: { type: 'string', default: '.waystation' },
  url: { type: 'string', default: 'http://127.0.0.1:8080' },
  text: { type: 'string' },
  print: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

async function main(): Promise<void> {
  const flags = readFlags(OPTIONS, process.argv.slice(2));
  if (flags.help) return console.log(USAGE);
  const station = flags.station === 'demo' ? DEMO_STATION : parseStationCode(flags.station);
  if (station === null)
    throw new Fault('USAGE', {
      flag: '--station',
      problem: `"${flags.station}" is not a station code`,
    });
  const data_dir = callersPath(flags.data);
  if (!existsSync(data_dir))
    throw new Fault('NOT_FOUND', {
      data: data_dir,
      problem: 'no such data directory; is npm start running?',
    });
  const member = await openMember(join(data_dir, 'members'), flags.member, flags.url, Date.now());
  const text = flags.text ?? member.present(Date.now());
  if (flags.print) return console.log(text);
  const directory = station === DEMO_STATION ? demoDirectory(data_dir) : fleetDirectory(data_dir);
  const simulator = await connectSimulator(join(directory, 'simulator.sock'));
  try {
    const answer = await simulator.scan(station, text);
    console.error(
      `${flags.member} → ${station}: ${answer.outcome}${answer.denial ? ` (${answer.denial})` : ''}  ${answer.sentence ?? ''}`,
    );
    console.log(JSON.stringify({ station, ...answer }));
  } finally {
    simulator.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
