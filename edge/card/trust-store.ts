/**
 * What the station believes: the key set signed by a pinned root, and the status list signed by a key of that set.
 * Each is one file, replaced as a whole; both are verified again when the agent starts. Versions only rise.
 */
import { hash, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import {
  arrayItems,
  decodeExact,
  encodeCbor,
  isBytes,
  sameBytes,
} from '@waystation/protocol/card/cbor';
import { decodeKeySet, type Cut, type TrustedKey } from '@waystation/protocol/card/key-set';
import {
  STATUS_LIST_BYTES_MAX,
  applyToggles,
  decodeStatusToken,
  type SignedStatusToken,
} from '@waystation/protocol/card/status-list';
import { replaceFile } from '@waystation/runtime/durable-file';
import { Fault, isFault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import { publicKeyOf, verifyP256 } from '@waystation/runtime/p256';
import type { TrustStore } from '../ports.ts';
import type { RootKeyRing } from './root-keys.ts';

export interface ImportedKey extends TrustedKey {
  key: KeyObject;
}

export interface TrustedKeySet {
  version: number;
  issued_at_s: number;
  expires_at_s: number;
  /** By kid. */
  keys: ReadonlyMap<string, ImportedKey>;
  cuts: readonly Cut[];
}

export interface TrustedStatusList {
  version: number;
  issued_at_s: number;
  expires_at_s: number;
  /** One bit a card; read with isRevoked. */
  list: Uint8Array;
}

/** What the verifier reads; a new object for every change. */
export interface Trust {
  key_set: TrustedKeySet | null;
  status_list: TrustedStatusList | null;
}

export interface FileTrustStore extends TrustStore {
  current(): Trust;
  /** Time before which nothing can be now: the newest date a trusted signer has put on anything here. 0: nothing yet. */
  signedSince_s(): number;
}

const KEY_SET_FILE = 'key-set.cose';
const STATUS_FILE = 'status-list.cbor';

/** Reads what `directory` holds (made when missing). A file that does not verify is reported and ignored. */
export function createTrustStore(options: {
  directory: string;
  roots: RootKeyRing;
  log: Log;
}): FileTrustStore {
  const { directory, roots, log } = options;
  mkdirSync(directory, { recursive: true });
  let trust: Trust = { key_set: null, status_list: null };
  const load = (file: string, accept: (bytes: Uint8Array) => void) => {
    const path = join(directory, file);
    if (!existsSync(path)) return;
    try {
      accept(readFileSync(path));
    } catch (error) {
      if (!isFault(error, 'TRUST_INVALID')) throw error;
      log('error', 'trust.fileIgnored', { file, problem: error.message });
    }
  };
  load(KEY_SET_FILE, (bytes) => {
    trust = { ...trust, key_set: verifyKeySet(bytes, roots) };
  });
  load(STATUS_FILE, (bytes) => {
    trust = { ...trust, status_list: restoreStatusList(bytes, trust.key_set) };
  });

  return {
    current: () => trust,
    signedSince_s: () =>
      Math.max(trust.key_set?.issued_at_s ?? 0, trust.status_list?.issued_at_s ?? 0),
    versions: () => ({
      key_set_version: trust.key_set?.version ?? 0,
      status_list_version: trust.status_list?.version ?? 0,
    }),
    applyKeySet(body) {
      const key_set = verifyKeySet(body, roots);
      if (key_set.version <= (trust.key_set?.version ?? 0)) return false;
      replaceFile(join(directory, KEY_SET_FILE), body);
      trust = { key_set, status_list: keepStatusList(trust, key_set, directory, log) };
      return true;
    },
    applyStatusList(body) {
      const signed = verifyStatusToken(body, trust.key_set);
      if (signed.token.version <= (trust.status_list?.version ?? 0)) return false;
      const list = nextList(signed, trust.status_list);
      if (list === null) return false;
      replaceFile(join(directory, STATUS_FILE), encodeStored(storedForm(body, signed, list)));
      trust = { ...trust, status_list: trusted(signed, list) };
      return true;
    },
  };
}

function invalid(problem: string, facts: Record<string, string | number> = {}): Fault {
  return new Fault('TRUST_INVALID', { problem, ...facts });
}

function verifyKeySet(bytes: Uint8Array, roots: RootKeyRing): TrustedKeySet {
  const signed = decodeKeySet(bytes);
  if (signed === null) throw invalid('the key set has not the specified shape');
  const root = roots.get(signed.kid);
  if (root === undefined)
    throw invalid('the key set is signed by no pinned root', { kid: signed.kid });
  if (!verifyP256(root, signed.toBeSigned(), signed.signature))
    throw invalid('the signature of the key set is wrong');
  const keys = signed.key_set.keys.map((entry): [string, ImportedKey] => {
    const key = publicKeyOf(entry.point);
    if (key === null)
      throw invalid('a key of the key set is no point of P-256', { kid: entry.kid });
    return [entry.kid, { ...entry, key }];
  });
  return { ...signed.key_set, keys: new Map(keys) };
}

function verifyStatusToken(bytes: Uint8Array, key_set: TrustedKeySet | null): SignedStatusToken {
  const signed = decodeStatusToken(bytes);
  if (signed === null) throw invalid('the status list has not the specified shape');
  const key = key_set?.keys.get(signed.kid);
  if (key === undefined || key.use !== 'statusList') {
    throw invalid('the status list is signed by no key of the key set', { kid: signed.kid });
  }
  const { issued_at_s } = signed.token;
  if (issued_at_s < key.not_before_s || issued_at_s >= key.expires_at_s) {
    throw invalid('the status list is dated outside the life of its key', { kid: signed.kid });
  }
  if (!verifyP256(key.key, signed.toBeSigned(), signed.signature)) {
    throw invalid('the signature of the status list is wrong');
  }
  return signed;
}

/** The list after this token; `null` when it is a difference to another version than the one held. */
function nextList(signed: SignedStatusToken, held: TrustedStatusList | null): Uint8Array | null {
  const { body } = signed.token;
  if (body.kind === 'full') return inflate(body.lst);
  if (held === null || held.version !== body.from) return null;
  const list = applyToggles(held.list, body.toggles);
  if (list === null) throw invalid('the difference reaches beyond the status list');
  if (!sameBytes(sha256(list), body.sha256))
    throw invalid('the difference does not lead to the signed list');
  return list;
}

/** Only signed data comes here, and never more than the limit comes out. */
function inflate(data: Uint8Array): Uint8Array {
  try {
    return inflateSync(data, { maxOutputLength: STATUS_LIST_BYTES_MAX });
  } catch (cause) {
    throw new Fault('TRUST_INVALID', { problem: 'the list is not zlib data, or too long' }, cause);
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

function trusted(signed: SignedStatusToken, list: Uint8Array): TrustedStatusList {
  const { version, issued_at_s, expires_at_s } = signed.token;
  return { version, issued_at_s, expires_at_s, list };
}

/** A difference proves its list by hash, so the list itself is kept beside it; a whole list needs nothing more. */
interface Stored {
  token: Uint8Array;
  /** zlib; empty for a whole list. */
  list: Uint8Array;
}

function storedForm(token: Uint8Array, signed: SignedStatusToken, list: Uint8Array): Stored {
  return { token, list: signed.token.body.kind === 'full' ? new Uint8Array(0) : deflateSync(list) };
}

function encodeStored(stored: Stored): Uint8Array {
  return encodeCbor([stored.token, stored.list]);
}

function readStored(value: unknown): Stored | null {
  const [token, list] = arrayItems(value, 2) ?? [];
  return isBytes(token) && isBytes(list) ? { token, list } : null;
}

function restoreStatusList(bytes: Uint8Array, key_set: TrustedKeySet | null): TrustedStatusList {
  const stored = decodeExact(bytes, readStored, encodeStored);
  if (stored === null) throw invalid('the stored status list is damaged');
  const signed = verifyStatusToken(stored.token, key_set);
  const { body } = signed.token;
  const list = inflate(body.kind === 'full' ? body.lst : stored.list);
  if (body.kind === 'delta' && !sameBytes(sha256(list), body.sha256)) {
    throw invalid('the stored status list is damaged');
  }
  return trusted(signed, list);
}

/** A list whose signing key is gone from the new key set is no longer believed: version 0 asks for a whole one. */
function keepStatusList(
  trust: Trust,
  key_set: TrustedKeySet,
  directory: string,
  log: Log,
): TrustedStatusList | null {
  if (trust.status_list === null) return null;
  try {
    return restoreStatusList(readFileSync(join(directory, STATUS_FILE)), key_set);
  } catch (error) {
    if (!isFault(error, 'TRUST_INVALID')) throw error;
    log('warn', 'trust.statusListDropped', {
      version: trust.status_list.version,
      problem: error.message,
    });
    return null;
  }
}
