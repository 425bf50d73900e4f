/** What the service and the stations report, in a person's words; what the dictionary does not know is shown as it came. */
import { DENIALS, type Denial } from '@waystation/protocol/access';
import type { CommandState, EventLine } from '@waystation/protocol/api';
import { ApiError } from '../api.ts';
import type { Language } from './language.tsx';

type Fact = EventLine['summary'][string] | undefined;

function word(table: object, key: Fact): string {
  const value: unknown = Object.entries(table).find(([name]) => name === key)?.[1];
  return typeof value === 'string' ? value : String(key ?? '');
}

function beginsWith(table: Readonly<Record<string, string>>, text: string): string | undefined {
  return Object.entries(table).find(([beginning]) => text.startsWith(beginning))?.[1];
}

function denial(name: Fact, { code }: Language): string | undefined {
  return typeof name === 'string' && name in DENIALS ? DENIALS[name as Denial][code] : undefined;
}

/** Why something could not be read or done. */
export function sayProblem(error: unknown, { text }: Language): string {
  if (!(error instanceof ApiError)) return String(error);
  const { code, message } = error.problem;
  const refusal = Object.entries(text.refusal).find(([reason]) => message.includes(reason));
  if (refusal) return refusal[1];
  return Object.entries(text.problem).find(([known]) => known === code)?.[1] ?? message;
}

function sayFailure(reason: string, language: Language): string {
  return denial(reason, language) ?? beginsWith(language.text.failure, reason) ?? reason;
}

/** What became of an order. */
export function sayCommand(
  command: Pick<CommandState, 'status' | 'reason'>,
  language: Language,
): string {
  const { command: says } = language.text;
  return command.status === 'failed'
    ? says.failed(sayFailure(command.reason ?? '', language))
    : says[command.status];
}

function sayDevice(summary: EventLine['summary'], { text }: Language): string {
  const broken = /^sensor (\w+) (gives no usable value|works again)$/.exec(
    String(summary['reason'] ?? ''),
  );
  if (!broken) return summary['online'] === true ? text.device_online : text.device_offline;
  const sensor = word(text.measurement, broken[1]);
  return broken[2] === 'works again' ? text.sensor_works(sensor) : text.sensor_broken(sensor);
}

function sayInput(summary: EventLine['summary'], { text }: Language): string {
  const says = Object.entries(text.input_says).find(([name]) => name === summary['input'])?.[1];
  return says?.[summary['active'] === true ? 0 : 1] ?? String(summary['input'] ?? '');
}

export interface Saying {
  title: string;
  detail: string;
}

/** What happened, as a title and a detail. */
export function sayEvent({ kind, summary }: EventLine, language: Language): Saying {
  const { text } = language;
  const title = word(text.event, kind);
  switch (kind) {
    case 'access': {
      const method = word(text.method, summary['method']);
      if (summary['outcome'] === 'granted') return { title: text.event.granted, detail: method };
      const why = denial(summary['denial'], language) ?? String(summary['denial'] ?? '');
      return { title: text.event.denied, detail: `${method} · ${why}` };
    }
    case 'door':
      return {
        title: word(text.portal, summary['to']),
        detail: word(text.cause, summary['cause']),
      };
    case 'mode':
      return { title, detail: word(text.mode, summary['mode']) };
    case 'room':
      return { title, detail: word(text.room, summary['state']) };
    case 'input':
      return { title: sayInput(summary, language), detail: '' };
    case 'device':
      return {
        title: word(text.devices, summary['device']),
        detail: sayDevice(summary, language),
      };
    case 'command': {
      const status = String(summary['status']);
      const known = status === 'received' || status === 'succeeded' || status === 'expired';
      if (!known && status !== 'failed') return { title, detail: status };
      const reason = String(summary['reason'] ?? '');
      return { title, detail: sayCommand({ status, reason }, language) };
    }
    case 'snapshot':
      return { title, detail: word(text.portal, summary['portal']) };
    case 'clock':
      return { title, detail: word(text.clock, summary['quality']) };
    case 'epoch':
      return { title, detail: word(text.epoch_reason, summary['reason']) };
    case 'trust':
      return {
        title,
        detail: text.versions(
          String(summary['key_set_version'] ?? ''),
          String(summary['status_list_version'] ?? ''),
        ),
      };
    default:
      return { title, detail: '' };
  }
}
