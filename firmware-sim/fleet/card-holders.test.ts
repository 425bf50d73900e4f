import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeLine } from '@waystation/protocol/card/presentation';
import { generatePrivateKeyPem } from '@waystation/runtime/p256';
import { epochMs } from '@waystation/runtime/clock';
import { prng } from '@waystation/runtime/prng';
import { readCardHolders } from './card-holders.ts';
import { FleetConfig, stationsOf } from './config.ts';

function fileWith(content: unknown): string {
  const file = join(mkdtempSync(join(tmpdir(), 'fleet-')), 'file.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

test('a file without a usable card or key is refused by name', () => {
  expect(() => readCardHolders(fileWith([]), prng(1))).toThrow(/CONFIG_INVALID/);
  expect(() => readCardHolders(fileWith([{ private_key: 'x', card: 'AAAA' }]), prng(1))).toThrow(
    /CARD_KEY_INVALID/,
  );
  expect(() => readCardHolders('/nonexistent', prng(1))).toThrow(/CONFIG_UNREADABLE/);
});

test('each visit shows a fresh line', () => {
  const holders = readCardHolders(
    fileWith([{ name: 'x', private_key: generatePrivateKeyPem(), card: 'AAAA' }]),
    prng(1),
  );
  const lines = [
    holders.present(epochMs(1_790_000_000_000)),
    holders.present(epochMs(1_790_000_000_000)),
  ];
  expect(new Set(lines).size).toBe(2);
  expect(lines.every((line) => line.startsWith('WS1:'))).toBe(true);
  expect(decodeLine(lines[0] ?? '').read).not.toBe('presentation'); // three zero bytes are no card
});

test('stations come from the configuration or from a file, each once', () => {
  const sample = {
    data_dir: 'd',
    gateway: { url: 'mqtt://h:1' },
    token_key_file: 't',
    root_keys_file: 'r',
  };
  const one = '370811011W0001N';
  expect(stationsOf(FleetConfig.parse({ ...sample, stations: [one] }))).toEqual([one]);
  expect(stationsOf(FleetConfig.parse({ ...sample, stations: { file: fileWith([one]) } }))).toEqual(
    [one],
  );
  expect(FleetConfig.safeParse({ ...sample, stations: [one, one] }).success).toBe(false);
  expect(() => stationsOf({ stations: { file: fileWith(['x']) } })).toThrow(/CONFIG_INVALID/);
});
