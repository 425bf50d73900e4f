/** The words a person types to a simulated station: one table, parsed purely, performed on the hardware. */
import { INPUT_NAMES, MEASUREMENT_NAMES } from '@waystation/protocol/registers';
import { LINE_FAULTS, LINE_FAULT_NAMES, type LineFault } from './behaviours.ts';
import { readContact, readGauge } from './controller.ts';
import { LINE_NAMES, type LineName, type StationHardware } from './station.ts';
import { consumption, stay_ms } from './visitors.ts';
import { lockIsFree, SUPPLIES, SUPPLY_MAX, type World, type WorldInput } from './world.ts';

export type Command =
  | { c: 'scan'; text: string }
  | { c: 'act'; input: WorldInput }
  | { c: 'enter' | 'letIn' }
  | { c: 'people'; count: number }
  | { c: 'plug'; line: LineName; in: boolean }
  | { c: 'fault'; fault: LineFault; count: number }
  | { c: 'healthy' | 'noise' | 'status' | 'help' | 'quit' };

export type Parsed = { ok: true; command: Command } | { ok: false; problem: string };

/** One line of the prompt takes at most this many bytes. */
export const COMMAND_BYTES_MAX = 4_096;
const FAULTS_MAX = 10_000;
const PEOPLE_AT_ONCE_MAX = 100;

const ok = (command: Command): Parsed => ({ ok: true, command });
const act = (input: WorldInput): Parsed => ok({ c: 'act', input });
const wrong = (problem: string): Parsed => ({ ok: false, problem });

/** The word if it is in the list, else what to write instead. */
function oneOf<T extends string>(list: readonly T[], word: string | undefined): T | null {
  return list.find((entry) => entry === word) ?? null;
}

function wholeNumber(word: string | undefined, least: number, most: number): number | null {
  if (word === undefined || !/^\d{1,6}$/.test(word)) return null;
  const value = Number(word);
  return value >= least && value <= most ? value : null;
}

function onOff(name: 'hold' | 'sos' | 'tamper' | 'smoke' | 'mains' | 'bolt') {
  return ([word = 'on']: string[]): Parsed => {
    const state = oneOf(['on', 'off'], word);
    return state === null ? wrong(`${name}: say on or off`) : act({ do: name, on: state === 'on' });
  };
}

function plug(into: boolean) {
  return ([word]: string[]): Parsed => {
    const line = oneOf(LINE_NAMES, word);
    return line === null
      ? wrong(`say which line: ${LINE_NAMES.join(' or ')}`)
      : ok({ c: 'plug', line, in: into });
  };
}

function parseFill([supply, amount]: string[]): Parsed {
  const known = oneOf(SUPPLIES, supply);
  if (known === null) return wrong(`fill: say what: ${SUPPLIES.join(', ')}`);
  const to = amount === undefined ? SUPPLY_MAX[known] : wholeNumber(amount, 0, SUPPLY_MAX[known]);
  return to === null
    ? wrong(`fill ${known}: a whole number from 0 to ${SUPPLY_MAX[known]}`)
    : act({ do: 'fill', supply: known, to });
}

function parseWire([name, state]: string[]): Parsed {
  const input = oneOf(INPUT_NAMES, name);
  if (input === null) return wrong(`wire: say which contact: ${INPUT_NAMES.join(', ')}`);
  const reads = { cut: false, short: true, ok: 'ok' } as const;
  const how = oneOf(['cut', 'short', 'ok'], state);
  return how === null
    ? wrong(`wire ${input}: say cut, short or ok`)
    : act({ do: 'wire', input, reads: reads[how] });
}

function parseSensor([name, state]: string[]): Parsed {
  const measurement = oneOf(MEASUREMENT_NAMES, name);
  if (measurement === null) return wrong(`sensor: say which: ${MEASUREMENT_NAMES.join(', ')}`);
  if (state === 'broken') return act({ do: 'sensor', measurement, reads: 'absent' });
  if (state === 'ok') return act({ do: 'sensor', measurement, reads: 'ok' });
  const value = Number(state);
  if (state === undefined || state === '' || !Number.isFinite(value))
    return wrong(`sensor ${measurement}: say broken, ok or the value it shows`);
  return act({ do: 'sensor', measurement, reads: value });
}

function parseFault([name, amount = '1']: string[]): Parsed {
  if (name === 'none') return ok({ c: 'healthy' });
  const fault = oneOf(LINE_FAULT_NAMES, name);
  if (fault === null) return wrong(`fault: say which: ${LINE_FAULT_NAMES.join(', ')}, none`);
  const count = wholeNumber(amount, 1, FAULTS_MAX);
  return count === null
    ? wrong(`fault ${fault}: how many exchanges, 1 to ${FAULTS_MAX}`)
    : ok({ c: 'fault', fault, count });
}

function parseLock([word]: string[]): Parsed {
  const state = oneOf(['works', 'stuck', 'broken'] as const, word);
  return state === null ? wrong('lock: say works, stuck or broken') : act({ do: 'lock', state });
}

function parsePeople([word]: string[]): Parsed {
  const count = wholeNumber(word, 0, PEOPLE_AT_ONCE_MAX);
  return count === null
    ? wrong(`people: a whole number from 0 to ${PEOPLE_AT_ONCE_MAX}`)
    : ok({ c: 'people', count });
}

/** Every word of the prompt; `scan` alone takes the rest of the line as it stands. */
const WORDS: Record<string, { usage: string; about: string; parse: (args: string[]) => Parsed }> = {
  scan: {
    usage: 'scan TEXT',
    about: 'show a code to the reader',
    parse: () => wrong('scan: say what to scan'),
  },
  enter: {
    usage: 'enter',
    about: 'somebody pulls the door and walks in, if it opens',
    parse: () => ok({ c: 'enter' }),
  },
  leave: {
    usage: 'leave',
    about: 'somebody leaves by the egress button',
    parse: () => act({ do: 'leave' }),
  },
  letin: {
    usage: 'letin',
    about: 'somebody inside opens to a visitor',
    parse: () => ok({ c: 'letIn' }),
  },
  people: { usage: 'people N', about: 'so many people are inside', parse: parsePeople },
  open: {
    usage: 'open',
    about: 'pull the door open, if the lock lets',
    parse: () => act({ do: 'openLeaf' }),
  },
  close: { usage: 'close', about: 'push the door shut', parse: () => act({ do: 'closeLeaf' }) },
  hold: {
    usage: 'hold [off]',
    about: 'something keeps the door from closing',
    parse: onOff('hold'),
  },
  force: { usage: 'force', about: 'break the door open', parse: () => act({ do: 'forceLeaf' }) },
  egress: { usage: 'egress', about: 'press the egress button', parse: () => act({ do: 'egress' }) },
  bolt: { usage: 'bolt [off]', about: 'the privacy bolt from inside', parse: onOff('bolt') },
  sos: { usage: 'sos [off]', about: 'press the SOS button', parse: onOff('sos') },
  smoke: { usage: 'smoke [off]', about: 'the smoke detector', parse: onOff('smoke') },
  tamper: { usage: 'tamper [off]', about: 'open the case', parse: onOff('tamper') },
  mains: { usage: 'mains off|on', about: 'power from the mains', parse: onOff('mains') },
  fill: { usage: 'fill WHAT [N]', about: SUPPLIES.join(', '), parse: parseFill },
  lock: { usage: 'lock works|stuck|broken', about: 'a mechanical fault', parse: parseLock },
  wire: { usage: 'wire CONTACT cut|short|ok', about: 'a broken wire', parse: parseWire },
  sensor: { usage: 'sensor NAME broken|ok|VALUE', about: 'a broken sensor', parse: parseSensor },
  fault: {
    usage: 'fault NAME [COUNT]',
    about: `the next exchanges on the bus go wrong: ${LINE_FAULT_NAMES.join(', ')}, none`,
    parse: parseFault,
  },
  noise: { usage: 'noise', about: 'the reader sends garbage', parse: () => ok({ c: 'noise' }) },
  unplug: { usage: 'unplug bus|reader', about: 'pull the cable', parse: plug(false) },
  replug: { usage: 'replug bus|reader', about: 'put it back', parse: plug(true) },
  status: { usage: 'status', about: 'the room and the lines', parse: () => ok({ c: 'status' }) },
  help: { usage: 'help', about: 'this list', parse: () => ok({ c: 'help' }) },
  quit: { usage: 'quit', about: 'end the simulation', parse: () => ok({ c: 'quit' }) },
};

export const HELP = Object.values(WORDS)
  .map(({ usage, about }) => `  ${usage.padEnd(28)} ${about}`)
  .join('\n');

/** Pure. A code may begin or end with spaces: after `scan` and one space, nothing is trimmed but the line end. */
export function parseCommand(line: string): Parsed {
  const text = line.replace(/[\r\n]+$/, '');
  if (text.startsWith('scan ') && text.length > 5) return ok({ c: 'scan', text: text.slice(5) });
  const [word = '', ...args] = text.trim().split(/\s+/);
  const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return known === undefined
    ? wrong(`unknown word "${word.slice(0, 20)}"; help lists them`)
    : known.parse(args);
}

/** What can be seen in the room, as plain facts. */
export function statusOf(station: StationHardware): Record<string, unknown> {
  const world = station.look();
  return {
    station: station.code,
    door: world.leaf_open ? 'open' : 'closed',
    lock: lockIsFree(world) ? 'free' : 'locked',
    people: world.stays_ms.length,
    contacts: INPUT_NAMES.filter((name) => readContact(world, name)),
    gauges: Object.fromEntries(MEASUREMENT_NAMES.map((name) => [name, gauge(world, name)])),
    bus: station.isPlugged('bus') ? 'plugged' : 'unplugged',
    reader: station.isPlugged('reader') ? 'plugged' : 'unplugged',
    requests: station.bus_counters.requests,
    faults_waiting: station.faults.waiting,
  };
}

function gauge(world: World, name: (typeof MEASUREMENT_NAMES)[number]): number | 'absent' {
  const value = readGauge(world, name);
  return value === 'absent' ? value : Math.round(value * 10) / 10;
}

const NOISE = Uint8Array.of(0x00, 0x80, 0x1b, 0xff, 0x0a, 0x57, 0x53, 0x0d);

/** Does it and says what happened, in one line or a list. `quit` is the caller's. */
export async function perform(
  station: StationHardware,
  command: Command,
  random: () => number,
): Promise<string> {
  const visit = () => {
    const { kind } = station.look();
    return { stay_ms: stay_ms(kind, random), takes: consumption(kind, random) };
  };
  const acted = (input: WorldInput) => station.act(input).join(', ') || 'done';
  switch (command.c) {
    case 'scan': {
      const result = await station.scan(command.text);
      if (result.outcome === 'unanswered') return `no answer: ${result.sentence}`;
      const head = result.outcome === 'granted' ? 'granted' : `denied (${result.denial})`;
      return `${head}: ${result.sentence}  [${result.decision_ms.toFixed(1)} ms]`;
    }
    case 'act':
      return acted(command.input);
    case 'enter':
    case 'letIn':
      return acted({ do: command.c, ...visit() });
    case 'people':
      return acted({ do: 'people', count: command.count, stay_ms: visit().stay_ms });
    case 'plug':
      if (command.in) station.replug(command.line);
      else station.unplug(command.line);
      return `${command.line} ${command.in ? 'plugged in' : 'unplugged'}`;
    case 'fault':
      station.faults.add(command.fault, command.count);
      return `${command.count} x ${command.fault}: ${LINE_FAULTS[command.fault].about}`;
    case 'healthy':
      station.faults.clear();
      return 'the bus is healthy';
    case 'noise':
      station.reader.emit(NOISE);
      return 'noise sent';
    case 'status':
      return JSON.stringify(statusOf(station), null, 2);
    case 'help':
      return HELP;
    case 'quit':
      return 'bye';
    default:
      return command satisfies never;
  }
}
