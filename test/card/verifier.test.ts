/** Every reason to refuse a member code, at its edge, with everything else about the code good. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { holdoverSkew } from '@waystation/edge/card/verifier';
import { draftCard, type CardClaims } from '@waystation/protocol/card/card';
import { draftSign1, encodeKeyHeader } from '@waystation/protocol/card/cose';
import { encodeBase45 } from '@waystation/protocol/card/base45';
import { unhex } from '@waystation/protocol/card/cbor';
import { draftPresentation } from '@waystation/protocol/card/presentation';
import { draftStatusToken } from '@waystation/protocol/card/status-list';
import { stationCode } from '@waystation/protocol/station-code';
import { epochMs } from '@waystation/runtime/clock';
import { generatePrivateKeyPem, nodeSigner, type P256Signer } from '@waystation/runtime/p256';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  DAY_S,
  LIST_BYTES,
  NOW_S,
  STATION,
  createWorld,
  outcome,
  present,
  type Member,
  type World,
} from './world.ts';

let world: World;
let member: Member;
beforeEach(() => {
  world = createWorld();
  member = world.member();
});
afterEach(() => world.remove());

const verdictOf = (line: string, at_s = NOW_S) => outcome(world.verify(line, at_s));

describe('windows', () => {
  const EDGES = [
    [-28_800, 'presentationStale'],
    [-76, 'presentationStale'],
    [-75, 'valid'],
    [0, 'valid'],
    [30, 'valid'],
    [31, 'presentationFuture'],
    [28_800, 'presentationFuture'],
  ] as const;

  test.each(['UTC', 'Asia/Shanghai', 'America/St_Johns'])(
    '75 s back and 30 s ahead, with the host in %s',
    (zone) => {
      const before = process.env['TZ'];
      process.env['TZ'] = zone;
      try {
        const offset_min = new Date(NOW_S * 1000).getTimezoneOffset();
        expect(offset_min).toBe({ UTC: 0, 'Asia/Shanghai': -480, 'America/St_Johns': 150 }[zone]);
        const seen = EDGES.map(([shift_s]) => [
          shift_s,
          verdictOf(present(member, 1, NOW_S + shift_s)),
        ]);
        expect(seen).toEqual(EDGES);
      } finally {
        if (before === undefined) delete process.env['TZ'];
        else process.env['TZ'] = before;
      }
    },
  );

  test('a part of a second does not move an edge', () => {
    const line = present(member, 1, NOW_S - 75);
    const at = (ms: number) =>
      outcome(
        world.verifier.verify(Buffer.from(line), {
          wall: epochMs(NOW_S * 1000 + ms),
          clock: 'synced',
        }),
      );
    expect([at(0), at(999), at(1000)]).toEqual(['valid', 'valid', 'presentationStale']);
  });

  test('widen with the days in holdover, up to two minutes', () => {
    const synced = epochMs(NOW_S * 1000);
    const after = (days: number) => holdoverSkew(epochMs((NOW_S + days * DAY_S) * 1000), synced);
    expect([0, 0.4, 0.5, 1, 10, 45, 400].map(after)).toEqual([30, 30, 31, 32, 50, 120, 120]);
    expect(holdoverSkew(synced, null)).toBe(120);
    expect(holdoverSkew(epochMs(synced - 1), synced)).toBe(30);
  });

  test('in holdover 10 days after the last synchronisation: 95 s back and 50 s ahead', () => {
    const held = createWorld({ lastSynced: () => epochMs((NOW_S - 10 * DAY_S) * 1000) });
    const holder = held.member();
    const seen = (shift_s: number) =>
      outcome(held.verify(present(holder, 1, NOW_S + shift_s), NOW_S, 'holdover'));
    expect([-96, -95, 50, 51].map(seen)).toEqual([
      'presentationStale',
      'valid',
      'valid',
      'presentationFuture',
    ]);
    held.remove();
  });

  test('an unknown clock judges nothing, but still knows a foreign code', () => {
    expect(outcome(world.verify(present(member, 1), NOW_S, 'unknown'))).toBe('clockUnknown');
    expect(outcome(world.verify('6901234567892', NOW_S, 'unknown'))).toBe('notOurCode');
  });
});

describe('the card', () => {
  test('is good for 35 days and not a second longer', () => {
    const at = (age_s: number) => verdictOf(present(member, 1, NOW_S + age_s), NOW_S + age_s);
    expect([at(35 * DAY_S - 1), at(35 * DAY_S)]).toEqual(['valid', 'cardExpired']);
  });

  test('may be dated 30 s ahead of the station, no more', () => {
    const dated = (ahead_s: number) => present(world.member({ issued_at_s: NOW_S + ahead_s }), 1);
    expect([verdictOf(dated(30)), verdictOf(dated(31))]).toEqual(['valid', 'cardNotYetValid']);
  });

  test('must lie within its key’s life and be no longer than its key allows', () => {
    const key = world.keys.signingKey('card', NOW_S);
    const claims = (changes: Partial<CardClaims>): CardClaims => ({
      holder: member.signer.point,
      index: 42,
      org: 1,
      rights: 1,
      issued_at_s: NOW_S,
      expires_at_s: NOW_S + 35 * DAY_S,
      ...changes,
    });
    const shown = (changes: Partial<CardClaims>, at_s = NOW_S) => {
      const draft = draftCard(key.signer.kid, claims(changes));
      const card = draft.finish(key.signer.sign(draft.to_be_signed));
      return verdictOf(present({ ...member, card }, 1, at_s), at_s);
    };
    expect(shown({})).toBe('valid');
    expect(shown({ expires_at_s: NOW_S + 35 * DAY_S + 1 })).toBe('unknownIssuer');
    expect(shown({ issued_at_s: NOW_S - 1, expires_at_s: NOW_S + DAY_S })).toBe('unknownIssuer');
    const last_s = NOW_S + 124 * DAY_S;
    expect(shown({ issued_at_s: last_s, expires_at_s: key.expires_at_s }, last_s)).toBe('valid');
    expect(shown({ issued_at_s: last_s, expires_at_s: key.expires_at_s + 1 }, last_s)).toBe(
      'unknownIssuer',
    );
  });

  test('addressed to a station opens only that one', () => {
    const other = stationCode('370102001', 'W', 2);
    expect(verdictOf(present(member, 1, NOW_S, STATION))).toBe('valid');
    expect(verdictOf(present(member, 1, NOW_S, other))).toBe('wrongStation');
    expect(verdictOf(present(member, 1, NOW_S, STATION.slice(0, -1)))).toBe('wrongStation');
  });

  test('issued before a cut of its organisation or its key is void', () => {
    const cutAt = (cut: { org: number } | { kid: string }, issued_before_s: number) => {
      world.keys.renew(NOW_S, { cuts: [{ ...cut, issued_before_s }] });
      expect(world.trust.applyKeySet(world.keys.keySet().body)).toBe(true);
      return verdictOf(present(member, 1));
    };
    const { kid } = world.keys.signingKey('card', NOW_S);
    expect(cutAt({ org: 370_102 }, NOW_S)).toBe('valid');
    expect(cutAt({ org: 370_102 }, NOW_S + 1)).toBe('issuedBeforeCut');
    expect(cutAt({ org: 370_103 }, NOW_S + 1)).toBe('valid');
    expect(cutAt({ kid }, NOW_S)).toBe('valid');
    expect(cutAt({ kid }, NOW_S + 1)).toBe('issuedBeforeCut');
  });
});

describe('revocation', () => {
  test('refuses the revoked card and neither neighbour', () => {
    for (const [version, index] of [0, 7, 8, 63, LIST_BYTES * 8 - 1].entries()) {
      world.trust.applyStatusList(world.publish(version + 2, [index]));
      const around = [index - 1, index, index + 1].filter(
        (near) => near >= 0 && near < LIST_BYTES * 8,
      );
      const seen = around.map((near) => verdictOf(present(world.member({ index: near }), 1)));
      expect(seen).toEqual(around.map((near) => (near === index ? 'revoked' : 'valid')));
    }
  });

  test('a card beyond the list passes only when it is newer than the list', () => {
    const beyond = world.member({ index: LIST_BYTES * 8 });
    expect(verdictOf(present(beyond, 1))).toBe('valid');
    world.trust.applyStatusList(world.publish(2, [], NOW_S + 1));
    expect(verdictOf(present(beyond, 1))).toBe('revoked');
    expect(verdictOf(present(world.member({ index: LIST_BYTES * 8 - 1 }), 1))).toBe('valid');
  });

  test('an expired list lets in only cards that are newer; sixty days later only into the hall', () => {
    const older = world.member({ issued_at_s: NOW_S });
    world.trust.applyStatusList(world.publish(2, [], NOW_S + 10));
    const at = (days: number, extra_s = 0) => NOW_S + 10 + days * DAY_S + extra_s;
    expect(verdictOf(present(older, 1, at(34)), at(34))).toBe('valid');
    const fresh = [at(30), at(62)].map((issued_at_s) =>
      world.member({ issued_at_s, rights: 0b1111 }),
    );
    const rights = (when_s: number) => {
      const member = fresh[when_s < at(60) ? 0 : 1] ?? older;
      const verdict = world.verify(present(member, 1, when_s), when_s);
      return verdict.verdict === 'valid' ? verdict.rights : outcome(verdict);
    };
    expect([rights(at(34)), rights(at(35)), rights(at(95, -1)), rights(at(95))]).toEqual([
      15, 15, 15, 1,
    ]);
  });

  test('an expired list refuses a card it could have known', () => {
    const { signer } = world.keys.signingKey('statusList', NOW_S);
    const at = (days: number) => NOW_S + days * DAY_S;
    const draft = draftStatusToken(signer.kid, {
      version: 2,
      issued_at_s: at(2),
      expires_at_s: at(3),
      ttl_s: 900,
      body: { kind: 'full', lst: deflateSync(new Uint8Array(LIST_BYTES)) },
    });
    world.trust.applyStatusList(draft.finish(signer.sign(draft.to_be_signed)));
    const shown = (issued_at_s: number, when_s: number) =>
      verdictOf(present(world.member({ issued_at_s }), 1, when_s), when_s);
    expect([shown(at(2) - 1, at(3) - 1), shown(at(2) - 1, at(3))]).toEqual([
      'valid',
      'issuedBeforeCut',
    ]);
    expect(shown(at(2), at(3))).toBe('valid');
  });
});

describe('trust', () => {
  test('nothing opens without a key set, without a list, or after the key set has ended', () => {
    const end_s = world.trust.current().key_set?.expires_at_s ?? 0;
    expect(verdictOf(present(member, 1, end_s), end_s)).toBe('trustMissing');
    const trust_files = join(world.directory, 'trust');
    rmSync(join(trust_files, 'status-list.cbor'));
    expect(outcome(world.restart().verify(present(member, 1)))).toBe('trustMissing');
    rmSync(join(trust_files, 'key-set.cose'));
    expect(outcome(world.restart().verify(present(member, 1)))).toBe('trustMissing');
  });

  test('a known key that may not issue cards is no issuer', () => {
    const { signer } = world.keys.signingKey('statusList', NOW_S);
    expect(verdictOf(present({ ...member, card: forge(signer, member.signer) }, 1))).toBe(
      'unknownIssuer',
    );
  });
});

/** A card over `holder`, signed by anybody, under the given kid. */
function forge(issuer: P256Signer, holder: P256Signer, kid = issuer.kid): Uint8Array {
  const times = { issued_at_s: NOW_S, expires_at_s: NOW_S + DAY_S };
  const draft = draftCard(kid, { holder: holder.point, index: 42, org: 1, rights: 1, ...times });
  return draft.finish(issuer.sign(draft.to_be_signed));
}

describe('forgeries', () => {
  const stranger = nodeSigner(generatePrivateKeyPem());

  test('a card of one’s own under a known kid', () => {
    const card = forge(stranger, stranger, world.keys.signingKey('card', NOW_S).signer.kid);
    expect(verdictOf(present({ signer: stranger, index: 42, card }, 1))).toBe('badIssuerSignature');
  });

  test('a card of one’s own under one’s own kid', () => {
    expect(
      verdictOf(present({ signer: stranger, index: 42, card: forge(stranger, stranger) }, 1)),
    ).toBe('unknownIssuer');
  });

  test('another’s card shown with one’s own key', () => {
    expect(verdictOf(present({ ...member, signer: stranger }, 1))).toBe('badHolderSignature');
  });

  test('a bare card, and a card as its own presentation', () => {
    expect(verdictOf(`WS1:${encodeBase45(member.card)}`)).toBe('malformed');
    const twice = draftSign1('card', {
      protected_header: encodeKeyHeader({ kid: unhex('01020304'), typ: null }),
      payload: member.card,
    }).finish(new Uint8Array(64));
    expect(verdictOf(`WS1:${encodeBase45(twice)}`)).toBe('malformed');
  });

  test('the right bytes signed for another purpose', () => {
    const key = world.keys.signingKey('card', NOW_S);
    const claims = { holder: member.signer.point, index: 42, org: 1, rights: 1 };
    const draft = draftCard(key.signer.kid, {
      ...claims,
      issued_at_s: NOW_S,
      expires_at_s: NOW_S + DAY_S,
    });
    const purpose = Buffer.from(draft.to_be_signed)
      .toString('latin1')
      .replace('ws-card/1', 'ws-pres/1');
    const card = draft.finish(key.signer.sign(Buffer.from(purpose, 'latin1')));
    expect(verdictOf(present({ ...member, card }, 1))).toBe('badIssuerSignature');
  });

  test('a holder key off the curve', () => {
    const key = world.keys.signingKey('card', NOW_S);
    // Of all abscissas below 2^256 about half have no point; 0xff…ff is above the field prime.
    const holder = { x: new Uint8Array(32).fill(0xff), y_odd: false };
    const times = { issued_at_s: NOW_S, expires_at_s: NOW_S + DAY_S };
    const draft = draftCard(key.signer.kid, { holder, index: 42, org: 1, rights: 1, ...times });
    const card = draft.finish(key.signer.sign(draft.to_be_signed));
    expect(verdictOf(present({ ...member, card }, 1))).toBe('badHolderSignature');
  });

  const N = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
  const one = '1'.padStart(64, '0');
  const zero = ''.padStart(64, '0');
  test.each([
    ['r = 0', zero + one],
    ['s = 0', one + zero],
    ['both 0', zero + zero],
    ['r = n', N + one],
    ['s = n', one + N],
    ['r = s = n', N + N],
    ['all ones', 'f'.repeat(128)],
    ['r = s = 1', one + one],
    ['r = n − 1', `${N.slice(0, -1)}0${one}`],
  ])('a signature with %s, of the holder or of the issuer', (_, signature) => {
    const claims = { audience: null, presented_at_s: NOW_S, sequence: 1 };
    expect(verdictOf(draftPresentation(member.card, claims).finish(unhex(signature)))).toBe(
      'badHolderSignature',
    );
    const card = Uint8Array.from([...member.card.subarray(0, -64), ...unhex(signature)]);
    expect(verdictOf(present({ ...member, card }, 1))).toBe('badIssuerSignature');
  });

  test('a signature that was good for the card before its claims were changed', () => {
    expect(verdictOf(present(member, 1))).toBe('valid');
    const at = Buffer.from(member.card).lastIndexOf(Buffer.from([0x03, 0x58, 0x40]));
    const card = member.card.slice();
    card[at] = 0x07;
    expect(verdictOf(present({ ...member, card }, 2))).toBe('badIssuerSignature');
  });
});
