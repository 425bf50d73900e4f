/** Keys and tokens of a local installation: made once, kept in its data directory, readable by their owner only. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface LocalKeys {
  directory: string;
  gateway_token_file: string;
  station_token_private_file: string;
  station_token_public_file: string;
  root_keys_file: string;
}

export function localKeys(data_dir: string): LocalKeys {
  const directory = join(data_dir, 'keys');
  const keys = {
    directory,
    gateway_token_file: join(directory, 'gateway.token'),
    station_token_private_file: join(directory, 'station-token.private.pem'),
    station_token_public_file: join(directory, 'station-token.public.pem'),
    root_keys_file: join(directory, 'root-public.json'),
  };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (!existsSync(keys.gateway_token_file)) {
    writeFileSync(keys.gateway_token_file, `${randomBytes(32).toString('base64url')}\n`, {
      mode: 0o600,
    });
  }
  if (!existsSync(keys.station_token_private_file)) {
    const pair = generateKeyPairSync('ed25519');
    writeFileSync(
      keys.station_token_private_file,
      pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      { mode: 0o600 },
    );
    writeFileSync(
      keys.station_token_public_file,
      pair.publicKey.export({ type: 'spki', format: 'pem' }),
    );
  }
  return keys;
}
