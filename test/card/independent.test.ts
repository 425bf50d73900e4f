/** The card in foreign hands: another COSE library, another QR decoder and WebCrypto come to the same result. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Algorithms, Sign1 } from '@auth0/cose';
import { qrPng } from '@waystation/firmware-sim/qr-image';
import { decodeBase45 } from '@waystation/protocol/card/base45';
import { decodeCard } from '@waystation/protocol/card/card';
import { COMMISSIONING_LINE, judgeCommissioning } from '@waystation/protocol/card/commissioning';
import { pointFromSec1 } from '@waystation/protocol/card/cose-key';
import { PURPOSES, signDraft } from '@waystation/protocol/card/cose';
import { PREFIX, draftPresentation } from '@waystation/protocol/card/presentation';
import { issueCard } from '@waystation/cloud/cards/issuer';
import { publicKeyOf } from '@waystation/runtime/p256';
import { afterAll, describe, expect, test } from 'vitest';
import { requirePart } from '../servers/parts.ts';
import { NOW_S, STATION, createWorld, outcome, present } from './world.ts';

const world = createWorld();
const member = world.member({ index: 1_735_591 });
afterAll(() => world.remove());

describe('@auth0/cose', () => {
  /**
   * The library is older than RFC 9864 and knows ECDSA with SHA-256 only as ES256: it is told to read ESP256 as that.
   * The bytes it verifies over are ours, alg −9 included.
   */
  async function verdict(
    message: Uint8Array,
    key: ReturnType<typeof publicKeyOf>,
    aad: string,
  ): Promise<string> {
    const sign1 = Sign1.decode(message);
    expect(sign1.alg).toBe(-9);
    Object.defineProperty(sign1, 'alg', { value: Algorithms.ES256 });
    if (key === null) return 'no key';
    const spki = createPublicKey(key.export({ type: 'spki', format: 'pem' }));
    return sign1.verify(spki, { externalAAD: Buffer.from(aad) }).then(
      () => 'good',
      (error: unknown) => (error instanceof Error ? error.name : 'unknown'),
    );
  }

  const key_set = world.trust.current().key_set;
  const holder = publicKeyOf(member.signer.point);
  const issuer = key_set?.keys.get(decodeCard(member.card)?.kid ?? '')?.key ?? null;
  const presentation = decodeBase45(present(member, 1).slice(PREFIX.length)) ?? new Uint8Array();

  test('verifies our card and our presentation, and refuses them for another purpose', async () => {
    expect(await verdict(member.card, issuer, PURPOSES.card)).toBe('good');
    expect(await verdict(presentation, holder, PURPOSES.presentation)).toBe('good');
    expect(await verdict(member.card, issuer, PURPOSES.presentation)).toBe(
      'COSESignatureVerificationFailed',
    );
    expect(await verdict(presentation, holder, PURPOSES.card)).toBe(
      'COSESignatureVerificationFailed',
    );
    expect(await verdict(member.card, holder, PURPOSES.card)).toBe(
      'COSESignatureVerificationFailed',
    );
  });

  test('verifies our status list', async () => {
    const { kid } = world.keys.signingKey('statusList', NOW_S);
    const key = key_set?.keys.get(kid)?.key ?? null;
    const list = world.publish(2, [1, 2, 3]);
    expect(await verdict(list, key, PURPOSES.statusList)).toBe('good');
    expect(await verdict(list, key, PURPOSES.keySet)).toBe('COSESignatureVerificationFailed');
  });

  test('finds our card in header 13 (kcwt) of the presentation', () => {
    const kcwt: unknown = new Map(Sign1.decode(presentation).protectedHeaders).get(13);
    const items = Array.isArray(kcwt) ? kcwt : [];
    expect(Buffer.from(items[3])).toEqual(Buffer.from(member.card.slice(-64)));
  });
});

describe('WebCrypto, as on the phone', () => {
  test('a non-extractable key signs a code that opens', async () => {
    const { subtle } = webcrypto;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const pair = await subtle.generateKey(algorithm, false, ['sign', 'verify']);
    const raw = new Uint8Array(await subtle.exportKey('raw', pair.publicKey));
    const holder = pointFromSec1(
      Uint8Array.from([2 + ((raw.at(-1) ?? 0) & 1), ...raw.subarray(1, 33)]),
    );
    if (holder === null) throw new TypeError('not a point');
    const order = { holder, index: 5, org: 1, rights: 1 };
    const { card } = issueCard(world.keys.signingKey('card', NOW_S), order, NOW_S);
    const draft = draftPresentation(card, { audience: null, presented_at_s: NOW_S, sequence: 1 });
    const signature = { name: 'ECDSA', hash: 'SHA-256' };
    const line = await signDraft(
      draft,
      async (bytes) => new Uint8Array(await subtle.sign(signature, pair.privateKey, bytes.slice())),
    );
    expect(outcome(world.verify(line))).toBe('valid');
  });
});

describe('zbarimg', () => {
  const zbarimg = requirePart('zbarimg');
  const read = (line: string) => {
    const file = join(world.directory, 'code.png');
    writeFileSync(file, qrPng(line));
    const bytes = execFileSync(
      zbarimg,
      ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    // zbarimg ends its output with one line feed of its own.
    return bytes.subarray(0, -1);
  };

  test('reads every byte of 20 codes, spaces and double spaces too, and they open', () => {
    const lines = Array.from({ length: 20 }, (_, n) =>
      present(member, n, NOW_S, n % 2 === 0 ? null : STATION),
    );
    for (const line of lines) {
      const bytes = read(line);
      expect(bytes.toString('latin1')).toBe(line);
      expect(outcome(world.verify(bytes.toString('latin1')))).toBe('valid');
    }
    expect(lines.some((line) => line.includes(' '))).toBe(true);
  });

  test('reads the commissioning code as it is', () => {
    expect(judgeCommissioning(read(COMMISSIONING_LINE))).toEqual({ fit: true });
  });
});
