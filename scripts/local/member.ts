/** A member's phone on the command line: a holder's key kept in a file, a card from the cloud, a fresh code for each scan. */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MemberCard, Problem } from '@waystation/protocol/api';
import { draftPresentation } from '@waystation/protocol/card/presentation';
import { pointToSec1 } from '@waystation/protocol/card/cose-key';
import { Fault } from '@waystation/runtime/fault';
import { generatePrivateKeyPem, nodeSigner } from '@waystation/runtime/p256';

const Wallet = z.strictObject({
  name: z.string(),
  private_key: z.string(),
  card: z.string(),
  index: z.int(),
  expires_at_s: z.int(),
  sequence: z.int(),
});
type Wallet = z.output<typeof Wallet>;

const RENEW_BEFORE_S = 86_400;

export interface Member {
  readonly index: number;
  /** The text of the QR code at this wall time (ms); each call draws the next number. */
  present(wall_ms: number): string;
}

async function enrol(api_url: string, name: string): Promise<Wallet> {
  const private_key = generatePrivateKeyPem();
  const answer = await fetch(`${api_url}/api/v1/members`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      name,
      holder_key: Buffer.from(pointToSec1(nodeSigner(private_key).point)).toString('base64'),
    }),
  }).catch((cause: unknown) => {
    throw new Fault(
      'NOT_FOUND',
      { url: api_url, problem: 'no cloud answers here; is npm start running?' },
      cause,
    );
  });
  const body: unknown = await answer.json();
  const card = MemberCard.safeParse(body);
  if (!card.success)
    throw new Fault('CARD_INVALID', {
      status: answer.status,
      problem: Problem.safeParse(body).data?.message ?? 'unexpected answer',
    });
  return {
    name,
    private_key,
    card: card.data.card,
    index: card.data.index,
    expires_at_s: card.data.expires_at_s,
    sequence: 0,
  };
}

/** Opens the member's wallet in `directory`; enrols with the cloud the first time and when the card runs out. */
export async function openMember(
  directory: string,
  name: string,
  api_url: string,
  wall_ms: number,
): Promise<Member> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${Buffer.from(name).toString('hex').slice(0, 60)}.json`);
  const kept = existsSync(path) ? Wallet.safeParse(JSON.parse(readFileSync(path, 'utf8'))) : null;
  const wallet =
    kept?.success && kept.data.expires_at_s - RENEW_BEFORE_S > wall_ms / 1000
      ? kept.data
      : await enrol(api_url, name);
  const signer = nodeSigner(wallet.private_key);
  const save = () => {
    // Written before the code is shown: a number used twice would be refused as a replay.
    writeFileSync(`${path}.new`, JSON.stringify(wallet), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  save();
  return {
    index: wallet.index,
    present(now_ms) {
      wallet.sequence += 1;
      save();
      const draft = draftPresentation(Buffer.from(wallet.card, 'base64'), {
        audience: null,
        presented_at_s: Math.floor(now_ms / 1000),
        sequence: wallet.sequence,
      });
      return draft.finish(signer.sign(draft.to_be_signed));
    },
  };
}

/** A card good for at least this long serves another run. */
const HOLDERS_KEPT_MS = 7 * RENEW_BEFORE_S * 1000;

/** Holders for the fleet's visitors, as its `cards_file`: enrolled once, again when their cards grow old. Returns the path. */
export async function enrolVisitors(
  directory: string,
  count: number,
  api_url: string,
  wall_ms: number,
): Promise<string> {
  const path = join(directory, 'cards.json');
  if (existsSync(path) && wall_ms - statSync(path).mtimeMs < HOLDERS_KEPT_MS) return path;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const holders: Pick<Wallet, 'private_key' | 'card'>[] = [];
  for (let n = 1; n <= count; n += 1) {
    const { private_key, card } = await enrol(api_url, `演示访客${n}`);
    holders.push({ private_key, card });
  }
  writeFileSync(path, JSON.stringify(holders), { mode: 0o600 });
  return path;
}
