/** The distribution's programs the tests run against: where they are, and the one command that installs what is missing. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { Fault } from '@waystation/runtime/fault';

function postgresProgram(name: string): string[] {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => `${base}/${version}/bin/${name}`);
}

/** Where the distribution puts a library for this machine's processor. */
function libraryPlaces(name: string): string[] {
  const base = '/usr/lib';
  const folders = readdirSync(base).filter((folder) => folder.endsWith('-linux-gnu'));
  return folders.map((folder) => `${base}/${folder}/${name}`);
}

/** Program name → package, and the places to look. */
export const PARTS = {
  postgres: { package: 'postgresql', places: () => postgresProgram('postgres') },
  initdb: { package: 'postgresql', places: () => postgresProgram('initdb') },
  influxd: { package: 'influxdb', places: () => ['/usr/bin/influxd', '/usr/local/bin/influxd'] },
  mosquitto: {
    package: 'mosquitto',
    places: () => ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'],
  },
  mosquitto_sub: { package: 'mosquitto-clients', places: () => ['/usr/bin/mosquitto_sub'] },
  mosquitto_pub: { package: 'mosquitto-clients', places: () => ['/usr/bin/mosquitto_pub'] },
  mosquitto_passwd: { package: 'mosquitto', places: () => ['/usr/bin/mosquitto_passwd'] },
  chromium: {
    package: 'chromium',
    places: () => ['/usr/bin/chromium', '/usr/bin/chromium-browser'],
  },
  strace: { package: 'strace', places: () => ['/usr/bin/strace'] },
  haproxy: { package: 'haproxy', places: () => ['/usr/sbin/haproxy'] },
  socat: { package: 'socat', places: () => ['/usr/bin/socat'] },
  zbarimg: { package: 'zbar-tools', places: () => ['/usr/bin/zbarimg'] },
  faketime: {
    package: 'faketime',
    places: () => libraryPlaces('faketime/libfaketimeMT.so.1'),
  },
  openssl: { package: 'openssl', places: () => ['/usr/bin/openssl'] },
  chineseFont: {
    package: 'fonts-noto-cjk',
    places: () => ['/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc'],
  },
} as const satisfies Record<string, { package: string; places: () => string[] }>;
export type Part = keyof typeof PARTS;

export function findPart(part: Part): string | null {
  return PARTS[part].places().find((place) => existsSync(place)) ?? null;
}

/** The program's path. Throws Fault PART_MISSING with the command that installs it; a test never skips. */
export function requirePart(part: Part): string {
  const path = findPart(part);
  if (path === null)
    throw new Fault('PART_MISSING', { part, install: installCommand([PARTS[part].package]) });
  return path;
}

export function missingPackages(): string[] {
  const missing = Object.entries(PARTS).filter(
    ([, part]) => !part.places().some((place) => existsSync(place)),
  );
  return [...new Set(missing.map(([, part]) => part.package))].sort();
}

export function installCommand(packages: readonly string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
}

/** Installs what is missing where this user may (root on a Debian system). Returns what is still missing. */
export function installMissingParts(): string[] {
  const missing = missingPackages();
  if (missing.length === 0) return [];
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return missing;
  spawnSync('sh', ['-c', installCommand(missing)], {
    stdio: ['ignore', 'ignore', 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return missingPackages();
}
