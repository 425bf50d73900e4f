/**
 * The event stream's hash chain: the hash of a record covers the record and the hash before it,
 * so a rewritten, restored or cloned history shows at its first message.
 */
import { hash } from 'node:crypto';

/** Lower-case hex SHA-256. */
export type ChainHash = string;

/** The hash before the first record of an epoch: a fresh epoch cannot continue another one's chain. */
export function chainStart(station: string, epoch: string): ChainHash {
  return hash('sha256', `waystation-chain/1\n${station}\n${epoch}`, 'hex');
}

/** `record_json` is the record exactly as JSON.stringify writes it, keys in the order of the wire. */
export function chainNext(previous: ChainHash, record_json: string): ChainHash {
  return hash('sha256', `${previous}\n${record_json}`, 'hex');
}
