/** A station's hardware on two pseudo-terminals, for an agent to open and a person to play with at the prompt. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { parseStationCode, stationCode, type StationCode } from '@waystation/protocol/station-code';
import { systemClock } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import { jsonLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';
import { COMMAND_BYTES_MAX, parseCommand, perform } from './commands.ts';
import { openControlSocket } from './control-socket.ts';
import { openPty } from './pty.ts';
import { createStation } from './station.ts';

const USAGE = `firmware-sim: a station's field bus and QR reader on pseudo-terminals

  --station CODE   the station's code
  --data DIR       where simulator.sock is put (default .waystation/hardware)
  --links DIR      where the links field-bus and reader are put (default: the data directory)
  --baud N         answer as slowly as a wire of this speed would
  --seed N         visitors behave alike for the same seed
  --help           this text
`;
/** Timers of the room fire at least this often, also while nobody polls. */
const ROOM_TICK_MS = 500;
const DEFAULT_STATION = stationCode('370811011', 'W', 1);

interface Options {
  code: StationCode;
  data_dir: string;
  links_dir: string;
  baud: number | undefined;
  seed: number;
}

/** `null` when only help was asked for. Throws Fault USAGE. */
function readOptions(argv: readonly string[]): Options | null {
  const text = { type: 'string' } as const;
  let values: {
    station?: string;
    data?: string;
    links?: string;
    baud?: string;
    seed?: string;
    help?: boolean;
  };
  try {
    const options = {
      station: text,
      data: text,
      links: text,
      baud: text,
      seed: text,
      help: { type: 'boolean' },
    } as const;
    values = parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { problem: cause instanceof Error ? cause.message : String(cause) },
      cause,
    );
  }
  if (values.help) return null;
  const number = (name: 'baud' | 'seed') => {
    const value = values[name];
    if (value === undefined) return undefined;
    if (!/^\d{1,9}$/.test(value) || Number(value) === 0)
      throw new Fault('USAGE', { problem: `--${name} takes a whole number above 0` });
    return Number(value);
  };
  const code = values.station === undefined ? DEFAULT_STATION : parseStationCode(values.station);
  if (code === null)
    throw new Fault('USAGE', {
      problem: `--station ${values.station ?? ''} is not a station code`,
    });
  const data_dir = resolve(values.data ?? join('.waystation', 'hardware'));
  return {
    code,
    data_dir,
    links_dir: resolve(values.links ?? data_dir),
    baud: number('baud'),
    seed: number('seed') ?? 1,
  };
}

async function run(options: Options): Promise<void> {
  const { code, data_dir, links_dir } = options;
  const clock = systemClock();
  const log = jsonLog(clock, 'firmware-sim', 'info', (line) => process.stdout.write(line));
  const random = prng(options.seed);
  mkdirSync(data_dir, { recursive: true });
  mkdirSync(links_dir, { recursive: true });
  const bus = openPty({ link: join(links_dir, 'field-bus') });
  const reader = openPty({ link: join(links_dir, 'reader') });
  const station = createStation({ code, clock, random, bus, reader, baud: options.baud });
  const control = await openControlSocket(
    join(data_dir, 'simulator.sock'),
    new Map([[code, station]]),
    random,
  );

  const person = process.stdin.isTTY;
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: person,
    prompt: person ? '> ' : '',
  });
  const tell = (text: string) => {
    if (!person) return;
    say(`\r· ${text}`);
    prompt.prompt(true);
  };
  station.onHappening(tell);
  station.reader.onAnswer(({ outcome, sentence }) =>
    tell(`the reader says: ${outcome}, ${sentence}`),
  );
  const ticker = clock.every(ROOM_TICK_MS, () => void station.look());

  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    ticker.stop();
    prompt.close();
    await control.close();
    bus.close();
    reader.close();
    log('info', 'ended');
    process.exit(0);
  };
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
  prompt.on('SIGINT', () => void end());
  const obey = async (line: string) => {
    const parsed =
      line.length > COMMAND_BYTES_MAX
        ? ({ ok: false, problem: 'the line is too long' } as const)
        : parseCommand(line);
    say(parsed.ok ? await perform(station, parsed.command, random) : parsed.problem);
    if (parsed.ok && parsed.command.c === 'quit') await end();
    else if (person) prompt.prompt();
  };
  log('info', 'ready', {
    station: code,
    field_bus: bus.path,
    reader: reader.path,
    control: control.path,
  });
  if (person) {
    say(
      `\nstation ${code}\n  field bus  ${bus.path}\n  QR reader  ${reader.path}\nhelp lists what you can do here\n`,
    );
    prompt.prompt();
  }
  for await (const line of prompt) {
    if (line.trim() !== '') await obey(line);
    else if (person) prompt.prompt();
  }
  if (person) await end(); // a pipe may end; hardware does not
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(USAGE);
  else await run(options);
} catch (error) {
  if (!isFault(error)) throw error;
  process.stderr.write(`${error.message}\n${error.operator}\n`);
  process.exitCode = 2;
}
