/** A hundred thousand spoilt codes through the whole verifier: none opens, none throws, and every stage is reached. */
import { decodeBase45, encodeBase45 } from '@waystation/protocol/card/base45';
import { decodeCard, draftCard, type CardClaims } from '@waystation/protocol/card/card';
import { PREFIX, draftPresentation } from '@waystation/protocol/card/presentation';
import { unhex } from '@waystation/protocol/card/cbor';
import { epochMs } from '@waystation/runtime/clock';
import { generatePrivateKeyPem, nodeSigner } from '@waystation/runtime/p256';
import { prng } from '@waystation/runtime/prng';
import { expect, test } from 'vitest';
import { DAY_S, NOW_S, STATION, createWorld, outcome, present, twin } from './world.ts';

const INPUTS = 100_000;
const SEED = 20_260_601;
const random = prng(SEED);
const below = (limit: number) => Math.floor(random() * limit);
const pick = <T>(items: readonly [T, ...T[]]): T => items[below(items.length)] ?? items[0];

const world = createWorld({ keys_from_s: NOW_S - 50 * DAY_S });
const stranger = nodeSigner(generatePrivateKeyPem());
world.keys.renew(NOW_S, { cuts: [{ org: 7, issued_before_s: NOW_S + 1 }] });
world.trust.applyKeySet(world.keys.keySet().body);
world.trust.applyStatusList(world.publish(2, [1000, 1001, 1002, 1003]));

const member = world.member({ index: 1 });
const regular = world.member({ index: 2 });
const lines: [string, ...string[]] = [present(member, 1), present(member, 2, NOW_S, STATION)];
const used = present(regular, 9);
world.verifier.accept(2, 9, epochMs(NOW_S * 1000));

const cose = (line: string) => decodeBase45(line.slice(PREFIX.length)) ?? new Uint8Array();
const CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:abc\r\t\u0000é_';

/** The line as a bad reader, a torn print or a typing hand would spoil it. */
function spoilLine(): string {
  const line = pick(lines);
  const at = below(line.length);
  const character = CHARACTERS.charAt(below(CHARACTERS.length));
  return pick([
    line.slice(0, at) + character + line.slice(at + 1),
    line.slice(0, at) + character + line.slice(at),
    line.slice(0, at) + line.slice(at + 1 + below(5)),
    line.slice(0, at),
    line.slice(at) + line.slice(0, at),
    PREFIX + Array.from({ length: below(700) }, () => CHARACTERS.charAt(below(45))).join(''),
  ]);
}

/** The right envelope around changed bytes: flipped, moved, cut, doubled. */
function spoilBytes(): string {
  const bytes = Array.from(cose(pick(lines)));
  for (let times = 1 + below(3); times > 0; times -= 1) {
    const at = below(bytes.length);
    const change = below(4);
    if (change === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
    else if (change === 1) bytes[at] = below(256);
    else if (change === 2) bytes.splice(at, below(3), below(256));
    else bytes.splice(at, 0, ...bytes.slice(at, at + below(40)));
  }
  return PREFIX + encodeBase45(Uint8Array.from(bytes));
}

const CARD_KID = world.keys.signingKey('card', NOW_S).signer.kid;

/** A well-formed card of odd claims, not signed by the issuer. */
function forgeCard(holder: CardClaims['holder']): Uint8Array {
  const issued_at_s = NOW_S + pick([0, 0, 0, 0, 0, 1, 31, -DAY_S, -40 * DAY_S]);
  const life_s = pick([DAY_S, DAY_S, DAY_S, 35 * DAY_S, 35 * DAY_S + 1, 1]);
  const draft = draftCard(pick([CARD_KID, CARD_KID, CARD_KID, unhex('00000000')]), {
    holder,
    index: pick([1, 5, 5, 5, 1000, 8191, 8192, 0xffff_ffff]),
    org: pick([1, 1, 1, 7, below(2 ** 32)]),
    rights: below(0x1_0000),
    issued_at_s,
    expires_at_s: issued_at_s + life_s,
  });
  const genuine = decodeCard(member.card)?.signature ?? new Uint8Array(64);
  return draft.finish(pick([stranger.sign(draft.to_be_signed), genuine, new Uint8Array(64)]));
}

/** Well-formed messages of one who has everything but the keys. */
function forge(): string {
  const claims = {
    audience: pick([null, null, null, STATION, '370102001W0002Z', 'A']),
    presented_at_s: NOW_S + pick([0, 0, 0, 0, -75, -76, 30, 31, below(60) - 30]),
    sequence: below(0x100_0000),
  };
  if (random() < 0.7) {
    const draft = draftPresentation(forgeCard(stranger.point), claims);
    return draft.finish(stranger.sign(draft.to_be_signed));
  }
  const card = random() < 0.3 ? forgeCard(member.signer.point) : member.card;
  const draft = draftPresentation(card, claims);
  return draft.finish(
    pick([stranger.sign(draft.to_be_signed), cose(lines[0]).slice(-64), new Uint8Array(64)]),
  );
}

test(`${INPUTS} spoilt codes: no accept, no throw (seed ${SEED})`, { timeout: 300_000 }, () => {
  const reached = new Map<string, number>();
  let worst_ms = 0;
  for (let n = 0; n < INPUTS; n += 1) {
    const kind = random();
    const line =
      kind < 0.3 ? spoilLine() : kind < 0.7 ? spoilBytes() : kind < 0.99 ? forge() : twin(used);
    if (lines.includes(line)) continue;
    const began = performance.now();
    const stage = outcome(world.verify(line));
    worst_ms = Math.max(worst_ms, performance.now() - began);
    if (stage === 'valid')
      expect.fail(`seed ${SEED}, input ${n}: accepted ${JSON.stringify(line)}`);
    reached.set(stage, (reached.get(stage) ?? 0) + 1);
  }
  console.info(`seed ${SEED}, worst ${worst_ms.toFixed(1)} ms`, Object.fromEntries(reached));
  expect([...reached.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual([
    'badHolderSignature',
    'badIssuerSignature',
    'cardExpired',
    'cardNotYetValid',
    'issuedBeforeCut',
    'malformed',
    'notOurCode',
    'presentationFuture',
    'presentationStale',
    'replayed',
    'revoked',
    'unknownIssuer',
    'unreadable',
    'wrongStation',
  ]);
  expect(outcome(world.verify(lines[0]))).toBe('valid');
});

test('every single changed bit, and every single changed character, is refused', () => {
  const [line] = lines;
  const bytes = cose(line);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(outcome(world.verify(PREFIX + encodeBase45(changed))), `bit ${bit}`).not.toBe('valid');
  }
  for (let at = 0; at < line.length; at += 1) {
    const other = CHARACTERS.charAt((CHARACTERS.indexOf(line.charAt(at)) + 1) % 45);
    const changed = line.slice(0, at) + other + line.slice(at + 1);
    expect(outcome(world.verify(changed)), `character ${at}`).not.toBe('valid');
  }
  world.remove();
});
