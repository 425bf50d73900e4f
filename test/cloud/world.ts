/** A whole cloud on an embedded database in memory (or the configured PostgreSQL), seeded with the province, asked without a socket or with one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCloud, type Cloud } from '@waystation/cloud/cloud';
import { addAccount } from '@waystation/cloud/accounts/register';
import { CloudConfig } from '@waystation/cloud/config';
import { openDatabase } from '@waystation/cloud/database/open';
import type { Role } from '@waystation/protocol/api';
import { encodeFrames, UPLINK_CONTENT_TYPE, type Frame } from '@waystation/protocol/gateway-link';
import type { StationCode } from '@waystation/protocol/station-code';
import type { StationPresence } from '@waystation/protocol/uplink';
import { epochMs, fakeClock, type Clock, type FakeClock } from '@waystation/runtime/clock';
import { silentLog } from '@waystation/runtime/log';
import { prng } from '@waystation/runtime/prng';

export const NOW = Date.UTC(2026, 10, 22, 2, 0, 0);
export const GATEWAY = 'gateway-test';
const TOKEN = 'only-for-tests';
const PASSWORD = 'only-for-tests';
const FOREIGN_ADDRESS = '10.1.2.3';

/** The generator of P-256, compressed (SEC 2, 2.4.2): a valid point for a holder. */
export const HOLDER_KEY = Buffer.from(
  '036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296',
  'hex',
).toString('base64');

export interface Answer {
  status: number;
  body: unknown;
  headers: Record<string, unknown>;
}

export interface AskOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  cookie?: string;
  headers?: Record<string, string>;
  from?: string;
}

export interface CloudWorld<C extends Clock = FakeClock> {
  readonly cloud: Cloud;
  readonly clock: C;
  /** From another machine, so that no visitor's right applies; `cookie` from `signIn`. */
  ask(url: string, options?: AskOptions): Promise<Answer>;
  /** Makes the account where it is new, signs in. Returns the cookie. */
  signIn(name: string, role: Role, organisation: string): Promise<string>;
  uplink(...frames: Frame[]): Promise<Answer>;
  presence(station: StationCode, presence: StationPresence, seen_at?: number): Promise<Answer>;
  /** Reads what was committed and publishes it, as the timer does every second. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export const SESSION_A = 'aaaaaaaaaaaaaaaa';
export function birth(
  session = SESSION_A,
  versions = { key_set_version: 9, status_list_version: 9 },
): StationPresence {
  return { state: 'online', session, at: NOW, software: '1.0.0', ...versions };
}

export function openWorld(change: object = {}): Promise<CloudWorld> {
  return openWorldOn(fakeClock(epochMs(NOW)), change);
}

/** On a clock that runs, for what real servers do in their own time. */
export async function openWorldOn<C extends Clock>(
  clock: C,
  change: object = {},
): Promise<CloudWorld<C>> {
  const directory = mkdtempSync(join(tmpdir(), 'waystation-cloud-'));
  const gateway_token_file = join(directory, 'gateway.token');
  writeFileSync(gateway_token_file, `${TOKEN}\n`);
  const config = CloudConfig.parse({
    listen: { host: '127.0.0.1', port: 0 },
    data_dir: join(directory, 'data'),
    database: 'pglite',
    gateway_token_file,
    keys_dir: join(directory, 'keys'),
    seed: { stations: 'shandong' },
    ...change,
  });
  const url = config.database === 'pglite' ? 'pglite:memory://' : config.database;
  const database = await openDatabase({ url, clock, log: silentLog });
  const options = { config, clock, log: silentLog, random: prng(1), version: '1.2.3' };
  const cloud = await openCloud(options, database);
  const made = new Set<string>();
  let sign_ins = 0;

  async function ask(
    url: string,
    { method = 'GET', body, cookie, headers, from = FOREIGN_ADDRESS }: AskOptions = {},
  ) {
    const answer = await cloud.app.inject({
      method,
      url,
      remoteAddress: from,
      headers: { ...headers, ...(cookie === undefined ? {} : { cookie }) },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const json = /json/.test(String(answer.headers['content-type']));
    return {
      status: answer.statusCode,
      body: json ? (JSON.parse(answer.body) as unknown) : answer.body,
      headers: answer.headers,
    };
  }
  const authorization = `Bearer ${TOKEN}`;
  return {
    cloud,
    clock,
    ask,
    async signIn(name, role, organisation) {
      if (!made.has(name)) {
        await addAccount(
          database.db,
          { name, role, organisation, password: PASSWORD },
          clock.wall(),
        );
        made.add(name);
      }
      const body = { account: name, password: PASSWORD };
      // From an address of its own: attempts are counted by address.
      sign_ins += 1;
      const from = `10.2.${sign_ins >> 8}.${sign_ins & 255}`;
      const { headers } = await ask('/api/v1/session', { method: 'POST', body, from });
      return String(headers['set-cookie']).split(';', 1)[0] ?? '';
    },
    uplink: (...frames) =>
      ask('/gateway/v1/uplink', {
        method: 'POST',
        body: Buffer.from(encodeFrames(frames)),
        headers: { authorization, 'content-type': UPLINK_CONTENT_TYPE },
      }),
    presence: (station, presence, seen_at = clock.wall()) =>
      ask('/gateway/v1/presence', {
        method: 'POST',
        body: { gateway: GATEWAY, changes: [{ station, seen_at, presence }] },
        headers: { authorization },
      }),
    flush: () => cloud.province.watch.flush(),
    async stop() {
      await cloud.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
