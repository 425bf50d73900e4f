/** Which contacts are told as events, and when: at once when they call for somebody, calmly when they fall back. */
import type { InputName } from '@waystation/protocol/registers';
import { type MonoMs, monoMs } from '@waystation/runtime/clock';
import type { Inputs } from '../ports.ts';

/** `calls_when`: the level somebody must know of. `quiet_ms`: how long the other level must last to be told. */
export const TOLD_CONTACTS = {
  egressPressed: { calls_when: true, quiet_ms: 1_000 },
  tamper: { calls_when: true, quiet_ms: 1_000 },
  sosPressed: { calls_when: true, quiet_ms: 1_000 },
  privacyBolt: { calls_when: true, quiet_ms: 1_000 },
  smoke: { calls_when: true, quiet_ms: 1_000 },
  mainsPresent: { calls_when: false, quiet_ms: 10_000 },
  // A radar loses a person who sits still, and finds him again: that is one stay, not ten.
  presence: { calls_when: true, quiet_ms: 120_000 },
} as const satisfies Partial<Record<InputName, { calls_when: boolean; quiet_ms: number }>>;

export type ToldContact = keyof typeof TOLD_CONTACTS;
const NAMES = Object.keys(TOLD_CONTACTS) as ToldContact[];

/** What was told last, and since when the contact says otherwise. */
type Told = { level: boolean; differs_since: MonoMs | null };
export type ContactBook = Readonly<Partial<Record<ToldContact, Told>>>;
export interface ContactChange {
  input: ToldContact;
  active: boolean;
}

/** One poll. The first one only tells what calls for somebody: the snapshot carries the rest. */
export function stepContacts(
  before: ContactBook,
  inputs: Inputs,
  now: MonoMs,
): { book: ContactBook; changes: ContactChange[] } {
  if (NAMES.every((name) => isSettled(before[name], inputs[name])))
    return { book: before, changes: [] };
  const book: Partial<Record<ToldContact, Told>> = {};
  const changes: ContactChange[] = [];
  for (const name of NAMES) {
    const { calls_when, quiet_ms } = TOLD_CONTACTS[name];
    const told = before[name] ?? { level: !calls_when, differs_since: null };
    const level = inputs[name];
    const since = told.differs_since ?? now;
    const settled = level === calls_when || now >= monoMs(since + quiet_ms);
    if (level === told.level) book[name] = { level, differs_since: null };
    else if (!settled) book[name] = { level: told.level, differs_since: since };
    else {
      book[name] = { level, differs_since: null };
      changes.push({ input: name, active: level });
    }
  }
  return { book, changes };
}

function isSettled(told: Told | undefined, level: boolean): boolean {
  return told !== undefined && told.level === level && told.differs_since === null;
}
