/** The issuer's and presenter's command line, without the process around it. */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RIGHTS, type Right } from '@waystation/protocol/access';
import { draftPresentation } from '@waystation/protocol/card/presentation';
import { KEY_USES } from '@waystation/protocol/card/key-set';
import { parseStationCode } from '@waystation/protocol/station-code';
import { replaceFile } from '@waystation/runtime/durable-file';
import { Fault } from '@waystation/runtime/fault';
import { generatePrivateKeyPem, nodeSigner, type P256Signer } from '@waystation/runtime/p256';
import { issueCard } from './issuer.ts';
import { PUBLISH_AHEAD_S } from './key-plan.ts';
import { openCardKeys, type CardKeys } from './key-store.ts';

export const CARDS_HELP = `node cloud/cards/main.ts COMMAND: keys and cards by hand

  init --keys DIR           make the keys that are missing or due; two roots, card and status keys, a signed key set
  root-public --keys DIR    print what stations pin (trust.root_keys_file): public keys only
  rotate --keys DIR         publish a new card key and a new status key that sign from 100 days on
         --now              … that sign at once: stations that are offline will not know them until they are reached
         --withdraw KID     take a key back at once: every card or list it signed is void
  issue --keys DIR --holder FILE --index N --org N --rights hall,night
                            print a card as JSON; FILE: the holder's private key (PEM), made when missing
  present --holder FILE --card BASE64 --sequence N [--station CODE]
                            print the line of the QR code, good for 75 seconds; N must rise
  --help                    this text

Roots: copy root-current.private.pem and root-next.private.pem to two safes and remove them from the server. Then
'init' and 'rotate' run where a root is, on a copy of DIR, and the new key-set.cose and *.private.pem come back.
`;

const OPTIONS = {
  keys: { type: 'string' },
  now: { type: 'boolean' },
  withdraw: { type: 'string' },
  holder: { type: 'string' },
  index: { type: 'string' },
  org: { type: 'string' },
  rights: { type: 'string' },
  card: { type: 'string' },
  sequence: { type: 'string' },
  station: { type: 'string' },
  help: { type: 'boolean' },
} as const;
type Values = {
  [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K]['type'] extends 'boolean' ? boolean : string;
};

const COMMANDS = {
  init,
  'root-public': rootPublic,
  rotate,
  issue,
  present,
} as const satisfies Record<string, (values: Values, now_s: number) => string>;

/** What the command prints. Throws Fault USAGE, CARD_INVALID or CARD_KEY_INVALID. */
export function runCards(argv: readonly string[], now_s: number): string {
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { problem: cause instanceof Error ? cause.message : String(cause) },
      cause,
    );
  }
  const { values, positionals } = parsed;
  if (values.help) return CARDS_HELP;
  const name = Object.keys(COMMANDS).find(
    (known): known is keyof typeof COMMANDS => known === positionals[0],
  );
  if (name === undefined || positionals.length !== 1) {
    throw new Fault('USAGE', { problem: `name one of ${Object.keys(COMMANDS).join(', ')}` });
  }
  return COMMANDS[name](values, now_s);
}

function init(values: Values, now_s: number): string {
  const keys = openCardKeys(needed(values, 'keys'), now_s);
  return describeKeys(keys);
}

function rootPublic(values: Values, now_s: number): string {
  return openCardKeys(needed(values, 'keys'), now_s).rootPublicJson();
}

function rotate(values: Values, now_s: number): string {
  const keys = openCardKeys(needed(values, 'keys'), now_s);
  const { withdraw } = values;
  const known = keys.keySet().key_set.keys.map((key) => key.kid);
  if (withdraw !== undefined && !known.includes(withdraw)) {
    throw new Fault('USAGE', { field: '--withdraw', problem: `name one of ${known.join(', ')}` });
  }
  const from_s = values.now || withdraw !== undefined ? now_s : now_s + PUBLISH_AHEAD_S;
  const begin = KEY_USES.map((use) => ({ use, from_s }));
  keys.renew(now_s, withdraw === undefined ? { begin } : { begin, withdraw });
  return describeKeys(keys);
}

function issue(values: Values, now_s: number): string {
  const keys = openCardKeys(needed(values, 'keys'), now_s);
  const file = needed(values, 'holder');
  if (!existsSync(file)) replaceFile(file, generatePrivateKeyPem(), 0o600);
  const index = wholeNumber(values, 'index');
  const order = {
    holder: readHolder(file).point,
    index,
    org: wholeNumber(values, 'org'),
    rights: rightsOf(values),
  };
  const { card, expires_at_s } = issueCard(keys.signingKey('card', now_s), order, now_s);
  return `${JSON.stringify({ index, card: Buffer.from(card).toString('base64'), expires_at_s })}\n`;
}

function present(values: Values, now_s: number): string {
  const holder = readHolder(needed(values, 'holder'));
  const card = new Uint8Array(Buffer.from(needed(values, 'card'), 'base64'));
  const audience = values.station ?? null;
  if (audience !== null && parseStationCode(audience) === null) {
    throw new Fault('USAGE', { field: '--station', problem: 'is not a station code' });
  }
  const claims = { audience, presented_at_s: now_s, sequence: wholeNumber(values, 'sequence') };
  try {
    const draft = draftPresentation(card, claims);
    return `${draft.finish(holder.sign(draft.to_be_signed))}\n`;
  } catch (cause) {
    throw new Fault('USAGE', { field: '--sequence', problem: 'is not from 0 to 16777215' }, cause);
  }
}

function needed(
  values: Values,
  name: 'keys' | 'holder' | 'card' | 'index' | 'org' | 'sequence' | 'rights',
): string {
  const value = values[name];
  if (value === undefined || value === '')
    throw new Fault('USAGE', { field: `--${name}`, problem: 'is missing' });
  return value;
}

function wholeNumber(values: Values, name: 'index' | 'org' | 'sequence'): number {
  const text = needed(values, name);
  if (!/^[0-9]{1,10}$/.test(text))
    throw new Fault('USAGE', { field: `--${name}`, problem: 'is not a whole number' });
  return Number(text);
}

function rightsOf(values: Values): number {
  const names = needed(values, 'rights').split(',');
  const isRight = (name: string): name is Right => name in RIGHTS;
  const unknown = names.find((name) => !isRight(name));
  if (unknown !== undefined) {
    throw new Fault('USAGE', {
      field: '--rights',
      problem: `${unknown} is none of ${Object.keys(RIGHTS).join(', ')}`,
    });
  }
  return names.filter(isRight).reduce((bits, name) => bits | (1 << RIGHTS[name]), 0);
}

function readHolder(file: string): P256Signer {
  try {
    return nodeSigner(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new Fault(
      'USAGE',
      { field: '--holder', problem: `${file} holds no P-256 private key` },
      cause,
    );
  }
}

/** One line a key: what it may do, and when (UTC). */
function describeKeys(keys: CardKeys): string {
  const { key_set } = keys.keySet();
  const day = (at_s: number) => new Date(at_s * 1000).toISOString().slice(0, 10);
  const lines = key_set.keys.map(
    (key) =>
      `${key.kid}  ${key.use.padEnd(10)}  from ${day(key.not_before_s)}  until ${day(key.expires_at_s)}`,
  );
  return [`key set ${key_set.version}, until ${day(key_set.expires_at_s)}`, ...lines, ''].join(
    '\n',
  );
}
