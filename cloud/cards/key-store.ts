/**
 * The keys of the issuing side as files: two roots (current and next), card and status keys, and the signed key set,
 * which is also the list of the keys there are. Made at first use. Private keys are readable by their owner only.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPublicKey } from 'node:crypto';
import { hex } from '@waystation/protocol/card/cbor';
import {
  decodeKeySet,
  draftKeySet,
  type Cut,
  type KeySet,
  type KeyUse,
  type TrustedKey,
} from '@waystation/protocol/card/key-set';
import { replaceFile } from '@waystation/runtime/durable-file';
import { Fault } from '@waystation/runtime/fault';
import { generatePrivateKeyPem, nodeSigner, type P256Signer } from '@waystation/runtime/p256';
import { orderKey, planKeys, signingKey, type KeyOrder } from './key-plan.ts';

const ROOT_FILES = ['root-current.private.pem', 'root-next.private.pem'] as const;
const ROOT_PUBLIC_FILE = 'root-public.json';
const KEY_SET_FILE = 'key-set.cose';
const KEY_SET_LIFE_S = 180 * 86_400;
/** Signed anew with this much left: what a station holds lasts for a season without contact. */
const KEY_SET_LEFT_MIN_S = 120 * 86_400;
const PRIVATE = 0o600;

export interface SigningKey extends TrustedKey {
  signer: P256Signer;
}

/** What `renew` shall change beyond what time demands. */
export interface KeyChanges {
  /** The complete list of cuts; absent: as before. */
  cuts?: readonly Cut[];
  /** Make new keys that sign from `from_s` on. */
  begin?: readonly { use: KeyUse; from_s: number }[];
  /** Withdraw a key at once: everything it signed is void. */
  withdraw?: string;
}

export interface CardKeys {
  /** What stations pin: a JSON Web Key Set. */
  rootPublicJson(): string;
  /** The key set in force and its signed bytes. */
  keySet(): { key_set: KeySet; body: Uint8Array };
  /** The key to sign with now. Throws Fault CARD_KEY_INVALID when there is none. */
  signingKey(use: KeyUse, now_s: number): SigningKey;
  /**
   * Makes due keys, drops ended ones and signs a new key set where something changed or half its life is over.
   * Call it at start and daily. True when there is a new key set. Throws Fault CARD_KEY_INVALID when a change is due
   * and no root key is here to sign it.
   */
  renew(now_s: number, changes?: KeyChanges): boolean;
  /** Reads the key set again: another process that shares the directory may have signed a newer one. True when it has. */
  reload(): boolean;
}

/** Opens `directory`, making it and every key at the first time. Throws Fault CARD_KEY_INVALID for damaged files. */
export function openCardKeys(directory: string, now_s: number): CardKeys {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = (file: string) => join(directory, file);
  if (!existsSync(path(ROOT_PUBLIC_FILE))) makeRoots(path);
  let current = existsSync(path(KEY_SET_FILE)) ? readKeySet(path) : null;
  const signers = new Map<string, P256Signer>();

  const keys: CardKeys = {
    rootPublicJson: () => readFileSync(path(ROOT_PUBLIC_FILE), 'utf8'),
    keySet() {
      if (current === null)
        throw new Fault('CARD_KEY_INVALID', { directory, problem: 'there is no key set' });
      return current;
    },
    signingKey(use, now_s) {
      const key = signingKey(keys.keySet().key_set.keys, use, now_s);
      if (key === undefined)
        throw new Fault('CARD_KEY_INVALID', { directory, use, problem: 'no key may sign now' });
      const signer = signers.get(key.kid) ?? readSigner(path(privateFile(key)));
      signers.set(key.kid, signer);
      return { ...key, signer };
    },
    renew(now_s, changes = {}) {
      const before = current?.key_set ?? null;
      const next = planKeySet(before, now_s, changes);
      if (next === null) return false;
      const root = readRoot(path);
      const made = next.make.map((order) => makeKey(path, order));
      const key_set = { ...next.key_set, keys: [...next.key_set.keys, ...made] };
      const draft = draftKeySet(root.kid, key_set);
      const body = draft.finish(root.sign(draft.to_be_signed));
      replaceFile(path(KEY_SET_FILE), body);
      current = { key_set, body };
      return true;
    },
    reload() {
      const there = existsSync(path(KEY_SET_FILE)) ? readKeySet(path) : null;
      if (there === null || there.key_set.version <= (current?.key_set.version ?? 0)) return false;
      current = there;
      return true;
    },
  };
  keys.renew(now_s);
  return keys;
}

/** The next key set without the keys still to be made, or `null` when all may stay as it is. */
function planKeySet(
  before: KeySet | null,
  now_s: number,
  changes: KeyChanges,
): { key_set: KeySet; make: KeyOrder[] } | null {
  const there = before?.keys ?? [];
  const remaining = there.filter((key) => key.kid !== changes.withdraw);
  const begun = (changes.begin ?? []).map(({ use, from_s }) => orderKey(use, from_s));
  const { keep, make } = planKeys<TrustedKey | KeyOrder>([...remaining, ...begun], now_s);
  const kept = keep.filter((key) => 'kid' in key);
  const cuts = [...(changes.cuts ?? before?.cuts ?? [])];
  const due =
    before === null ||
    before.expires_at_s - now_s < KEY_SET_LEFT_MIN_S ||
    kept.length !== there.length ||
    begun.length + make.length > 0 ||
    JSON.stringify(cuts) !== JSON.stringify(before.cuts);
  if (!due) return null;
  const version = (before?.version ?? 0) + 1;
  const key_set = {
    version,
    issued_at_s: now_s,
    expires_at_s: now_s + KEY_SET_LIFE_S,
    keys: kept,
    cuts,
  };
  return { key_set, make: [...begun, ...make] };
}

type PathOf = (file: string) => string;

function privateFile(key: { use: KeyUse; kid: string }): string {
  return `${key.use}-${key.kid}.private.pem`;
}

function makeKey(path: PathOf, order: KeyOrder): TrustedKey {
  const pem = generatePrivateKeyPem();
  const { point, kid } = nodeSigner(pem);
  const key = { ...order, point, kid: hex(kid) };
  replaceFile(path(privateFile(key)), pem, PRIVATE);
  return key;
}

/** The public file is written last: a start that was cut short begins again. */
function makeRoots(path: PathOf): void {
  const keys = ROOT_FILES.map((file) => {
    const pem = existsSync(path(file)) ? readFileSync(path(file), 'utf8') : generatePrivateKeyPem();
    const { kid } = nodeSigner(pem);
    replaceFile(path(file), pem, PRIVATE);
    const { kty, crv, x, y } = createPublicKey(pem).export({ format: 'jwk' });
    return { kty, crv, x, y, kid: hex(kid) };
  });
  replaceFile(path(ROOT_PUBLIC_FILE), `${JSON.stringify({ keys }, null, 2)}\n`);
}

/** The current root, or the next one where the current has been put away. */
function readRoot(path: PathOf): P256Signer {
  const file = ROOT_FILES.map(path).find((file) => existsSync(file));
  if (file === undefined) {
    throw new Fault('CARD_KEY_INVALID', {
      problem: 'a new key set is due, and no root key is here to sign it',
    });
  }
  return readSigner(file);
}

function readSigner(file: string): P256Signer {
  if (!existsSync(file))
    throw new Fault('CARD_KEY_INVALID', { file, problem: 'the file is missing' });
  return nodeSigner(readFileSync(file, 'utf8'));
}

function readKeySet(path: PathOf): { key_set: KeySet; body: Uint8Array } {
  const body = new Uint8Array(readFileSync(path(KEY_SET_FILE)));
  const signed = decodeKeySet(body);
  if (signed === null)
    throw new Fault('CARD_KEY_INVALID', { file: path(KEY_SET_FILE), problem: 'not a key set' });
  return { key_set: signed.key_set, body };
}
