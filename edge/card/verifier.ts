/**
 * Judges a member code at the door, offline: cheap reasons to refuse before dear ones, the first one decides.
 * Nothing is remembered before the door is granted.
 */
import { hash, type KeyObject } from 'node:crypto';
import { RIGHTS, type Denial } from '@waystation/protocol/access';
import type { CardClaims } from '@waystation/protocol/card/card';
import {
  decodeLine,
  type Presentation,
  type PresentationClaims,
} from '@waystation/protocol/card/presentation';
import { isRevoked } from '@waystation/protocol/card/status-list';
import type { StationCode } from '@waystation/protocol/station-code';
import type { EpochMs } from '@waystation/runtime/clock';
import { publicKeyOf, verifyP256 } from '@waystation/runtime/p256';
import type { CardVerdict, CardVerifier } from '../ports.ts';
import { createHolderCache, type HolderCache } from './holder-cache.ts';
import type { ReplayGuard } from './replay-guard.ts';
import type { ImportedKey, Trust, TrustedKeySet, TrustedStatusList } from './trust-store.ts';

/** How old a code may be, apart from clock skew: it is drawn every 10 s and held up for a while. */
const PRESENTATION_AGE_S = 45;
/** How far phone and station clocks may differ while the station's is disciplined. */
const SKEW_S = 30;
const SKEW_MAX_S = 120;
/** A plain quartz drifts 20 ppm, 1.7 s a day. */
const DRIFT_S_PER_DAY = 2;
const DAY_S = 86_400;
/**
 * With a list this long past its end only the right to the hall remains: 95 days after the list was signed. Not sooner:
 * past the list's end only cards issued after it pass, and none lives longer than 35 days, so that waiting costs no
 * safety, and a mom's room must not lock its mothers out for want of a network.
 */
const STALE_LIST_GRACE_S = 60 * DAY_S;
const HALL_ONLY = 1 << RIGHTS.hall;

export interface CardVerifierOptions {
  station: StationCode;
  trust: { current(): Trust };
  replay: ReplayGuard;
  /** When the wall clock was last disciplined; `null`: not known, the widest skew is assumed in holdover. */
  lastSynced(): EpochMs | null;
  /** Cards whose issuer signature is remembered as good. */
  cached_cards_max?: number;
}

/** Wall time in whole seconds, and the skew to allow for. */
interface Now {
  at_s: number;
  skew_s: number;
}

export function createCardVerifier(options: CardVerifierOptions): CardVerifier {
  const { station, replay } = options;
  const cache = createHolderCache(options.cached_cards_max ?? 1024);

  return {
    verify(line, { wall, clock }) {
      const decoded = decodeLine(latin1(line));
      if (decoded.read !== 'presentation') return refused(decoded.read);
      const { presentation } = decoded;
      if (clock === 'unknown') return refused('clockUnknown');
      const now = {
        at_s: Math.floor(wall / 1000),
        skew_s: clock === 'synced' ? SKEW_S : holdoverSkew(wall, options.lastSynced()),
      };
      const { key_set, status_list } = options.trust.current();
      if (key_set === null || status_list === null || now.at_s >= key_set.expires_at_s)
        return refused('trustMissing');
      cache.belongTo(key_set);

      const { card } = presentation;
      const issuer = key_set.keys.get(card.kid);
      const denial =
        judgeIssuer(issuer, card.claims) ??
        judgeCardTime(card.claims, now) ??
        judgeWindow(presentation.claims, now) ??
        judgeAudience(presentation.claims, station) ??
        judgeCuts(card.kid, card.claims, key_set) ??
        judgeStatus(card.claims, status_list, now) ??
        (issuer === undefined
          ? 'unknownIssuer'
          : judgeSignatures(presentation, issuer.key, cache)) ??
        judgeReplay(presentation, replay, wall);
      return denial === null ? valid(presentation, status_list, now) : refused(denial);
    },
    accept: (card, sequence, now) => replay.remember(card, sequence, now),
  };
}

function refused(denial: Denial): CardVerdict {
  return { verdict: 'refused', denial };
}

function valid(presentation: Presentation, list: TrustedStatusList, now: Now): CardVerdict {
  const { index, org, rights, issued_at_s } = presentation.card.claims;
  const long_stale = now.at_s >= list.expires_at_s + STALE_LIST_GRACE_S;
  return {
    verdict: 'valid',
    card: index,
    org,
    rights: long_stale ? rights & HALL_ONLY : rights,
    issued_at_s,
    sequence: presentation.claims.sequence,
  };
}

/** Every byte as one character: what is not base45 stays recognisable as such. */
function latin1(line: Uint8Array): string {
  return Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('latin1');
}

/** Grows with the days since the clock was last disciplined. */
export function holdoverSkew(wall: EpochMs, last_synced: EpochMs | null): number {
  if (last_synced === null) return SKEW_MAX_S;
  const days = Math.max(0, wall - last_synced) / (DAY_S * 1000);
  return Math.min(SKEW_MAX_S, SKEW_S + Math.floor(days * DRIFT_S_PER_DAY));
}

function judgeIssuer(issuer: ImportedKey | undefined, card: CardClaims): Denial | null {
  if (issuer === undefined || issuer.use !== 'card') return 'unknownIssuer';
  const life_s = card.expires_at_s - card.issued_at_s;
  const within =
    card.issued_at_s >= issuer.not_before_s && card.expires_at_s <= issuer.expires_at_s;
  return within && life_s <= issuer.max_life_s ? null : 'unknownIssuer';
}

function judgeCardTime(card: CardClaims, now: Now): Denial | null {
  if (now.at_s >= card.expires_at_s) return 'cardExpired';
  return card.issued_at_s > now.at_s + now.skew_s ? 'cardNotYetValid' : null;
}

function judgeWindow(claims: PresentationClaims, now: Now): Denial | null {
  const age_s = now.at_s - claims.presented_at_s;
  if (age_s > PRESENTATION_AGE_S + now.skew_s) return 'presentationStale';
  return age_s < -now.skew_s ? 'presentationFuture' : null;
}

function judgeAudience(claims: PresentationClaims, station: StationCode): Denial | null {
  return claims.audience === null || claims.audience === station ? null : 'wrongStation';
}

function judgeCuts(kid: string, card: CardClaims, key_set: TrustedKeySet): Denial | null {
  const cut = key_set.cuts.some(
    (cut) =>
      card.issued_at_s < cut.issued_before_s &&
      ('org' in cut ? cut.org === card.org : cut.kid === kid),
  );
  return cut ? 'issuedBeforeCut' : null;
}

/**
 * A card newer than the list cannot be on it yet, so a card beyond its end passes only when newer.
 * Once the list has expired, the same is asked of every card.
 */
function judgeStatus(card: CardClaims, list: TrustedStatusList, now: Now): Denial | null {
  const newer = card.issued_at_s >= list.issued_at_s;
  const revoked = isRevoked(list.list, card.index);
  if (revoked === true || (revoked === null && !newer)) return 'revoked';
  return now.at_s >= list.expires_at_s && !newer ? 'issuedBeforeCut' : null;
}

function judgeSignatures(
  presentation: Presentation,
  issuer: KeyObject,
  cache: HolderCache,
): Denial | null {
  const { card } = presentation;
  const card_hash = hash('sha256', card.bytes, 'base64');
  const known = cache.get(card_hash);
  const holder = known ?? publicKeyOf(card.claims.holder);
  if (holder === null) return 'badHolderSignature';
  if (!verifyP256(holder, presentation.toBeSigned(), presentation.signature))
    return 'badHolderSignature';
  if (known !== undefined) return null;
  if (!verifyP256(issuer, card.toBeSigned(), card.signature)) return 'badIssuerSignature';
  cache.put(card_hash, holder);
  return null;
}

function judgeReplay(
  presentation: Presentation,
  replay: ReplayGuard,
  wall: EpochMs,
): Denial | null {
  return replay.isReplay(presentation.card.claims.index, presentation.claims.sequence, wall)
    ? 'replayed'
    : null;
}
