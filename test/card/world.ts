/** A small province for the card tests: real keys in a temporary directory, one station, members with their keys. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCard, type CardOrder } from '@waystation/cloud/cards/issuer';
import { openCardKeys, type CardKeys } from '@waystation/cloud/cards/key-store';
import { publishStatusDelta, publishStatusList } from '@waystation/cloud/cards/status-publisher';
import {
  createReplayGuard,
  memoryReplayTable,
  type ReplayTable,
} from '@waystation/edge/card/replay-guard';
import { parseRootKeys } from '@waystation/edge/card/root-keys';
import { createTrustStore, type FileTrustStore } from '@waystation/edge/card/trust-store';
import { createCardVerifier } from '@waystation/edge/card/verifier';
import type { CardVerdict, CardVerifier } from '@waystation/edge/ports';
import { decodeBase45, encodeBase45 } from '@waystation/protocol/card/base45';
import { hex, unhex } from '@waystation/protocol/card/cbor';
import { PREFIX, draftPresentation } from '@waystation/protocol/card/presentation';
import { statusListOf } from '@waystation/protocol/card/status-list';
import type { ClockQuality } from '@waystation/protocol/records';
import { stationCode } from '@waystation/protocol/station-code';
import { epochMs, type EpochMs } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { generatePrivateKeyPem, nodeSigner, type P256Signer } from '@waystation/runtime/p256';

export const NOW_S = 1_790_000_000;
export const STATION = stationCode('370102001', 'W', 1);
export const DAY_S = 86_400;
export const LIST_BYTES = 1024;

export interface Member {
  signer: P256Signer;
  index: number;
  card: Uint8Array;
}

export interface World {
  keys: CardKeys;
  trust: FileTrustStore;
  verifier: CardVerifier;
  /** A new holder key and its card. */
  member(order?: Partial<CardOrder> & { issued_at_s?: number }): Member;
  publish(version: number, revoked: number[], at_s?: number): Uint8Array;
  publishDelta(from: [number, number[]], to: [number, number[]], at_s?: number): Uint8Array;
  /** Another agent on the same disk. */
  restart(): World;
  verify(line: string, at_s?: number, clock?: ClockQuality): CardVerdict;
  directory: string;
  remove(): void;
}

export interface WorldOptions {
  now_s?: number;
  /** When the keys were made; `now_s` unless told. */
  keys_from_s?: number;
  lastSynced?: () => EpochMs | null;
}

export function createWorld(options: WorldOptions = {}): World {
  const { now_s = NOW_S, keys_from_s = now_s } = options;
  const directory = mkdtempSync(join(tmpdir(), 'waystation-card-'));
  const keys = openCardKeys(join(directory, 'keys'), keys_from_s);
  const world = startStation(directory, keys, memoryReplayTable(), options);
  world.trust.applyKeySet(keys.keySet().body);
  world.trust.applyStatusList(world.publish(1, []));
  return world;
}

function startStation(
  directory: string,
  keys: CardKeys,
  table: ReplayTable,
  options: WorldOptions,
): World {
  const { now_s = NOW_S, lastSynced = () => null } = options;
  const roots = parseRootKeys(keys.rootPublicJson(), 'root-public.json');
  const trust = createTrustStore({ directory: join(directory, 'trust'), roots, log: silentLog });
  const replay = createReplayGuard(table);
  const verifier = createCardVerifier({
    station: STATION,
    trust,
    replay,
    lastSynced,
  });
  const list = (revoked: number[]) => statusListOf(revoked, LIST_BYTES);
  return {
    keys,
    trust,
    verifier,
    directory,
    member({ issued_at_s = now_s, ...order } = {}) {
      const signer = nodeSigner(generatePrivateKeyPem());
      const index = order.index ?? 42;
      const whole = { holder: signer.point, index, org: 370_102, rights: 0b11, ...order };
      return {
        signer,
        index,
        card: issueCard(keys.signingKey('card', issued_at_s), whole, issued_at_s).card,
      };
    },
    publish: (version, revoked, at_s = now_s) =>
      publishStatusList(keys.signingKey('statusList', at_s), list(revoked), version, at_s),
    publishDelta: ([from, before], [to, after], at_s = now_s) =>
      publishStatusDelta(
        keys.signingKey('statusList', at_s),
        { version: from, list: list(before) },
        { version: to, list: list(after) },
        at_s,
      ),
    restart: () => startStation(directory, keys, table, options),
    verify: (line, at_s = now_s, clock = 'synced') =>
      verifier.verify(Buffer.from(line, 'latin1'), { wall: epochMs(at_s * 1000), clock }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The line the member's phone shows. */
export function present(
  member: Member,
  sequence: number,
  at_s = NOW_S,
  audience: string | null = null,
): string {
  const draft = draftPresentation(member.card, { audience, presented_at_s: at_s, sequence });
  return draft.finish(member.signer.sign(draft.to_be_signed));
}

const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same presentation with the holder's other good signature: ECDSA accepts (r, n − s) wherever it accepts (r, s). */
export function twin(line: string): string {
  const bytes = decodeBase45(line.slice(PREFIX.length)) ?? new Uint8Array();
  const s = BigInt(`0x${hex(bytes.subarray(-32))}`);
  const other = (N - s).toString(16).padStart(64, '0');
  return PREFIX + encodeBase45(Uint8Array.from([...bytes.subarray(0, -32), ...unhex(other)]));
}

export function outcome(verdict: CardVerdict): string {
  return verdict.verdict === 'valid' ? 'valid' : verdict.denial;
}
