/** The service under a benchmark: real PostgreSQL and influxd, one cloud and one gateway as processes of their own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localKeys, type LocalKeys } from '@waystation/scripts/local/keys';
import { startProcess, type LocalProcess } from '@waystation/scripts/local/process';
import { startInfluxd, type TestInfluxd } from '../servers/influxd.ts';
import { startPostgres, type TestPostgres } from '../servers/postgres.ts';
import { freePort } from '../servers/process.ts';

/** The station side of the gateway: plain TCP, or TLS with this certificate. */
export type DoorCertificate = { cert_file: string; key_file: string; ca_file: string };

export interface Service {
  readonly keys: LocalKeys;
  readonly cloud_url: string;
  readonly gateway_port: number;
  readonly gateway_metrics_url: () => string;
  readonly postgres: TestPostgres;
  readonly influx: TestInfluxd;
  cloud(): LocalProcess;
  gateway(): LocalProcess;
  stopCloud(): Promise<void>;
  /** Starts it again on the same stores and port. Resolves when it listens. */
  startCloud(): Promise<void>;
  /** kill -9 of the gateway, and a new one on the same port. Resolves when it listens. */
  replaceGateway(): Promise<void>;
  stop(): Promise<void>;
}

/** Throws Fault PART_MISSING. */
export async function startService(
  data_dir: string,
  certificate?: DoorCertificate,
): Promise<Service> {
  const [postgres, influx] = [await startPostgres(), await startInfluxd()];
  const keys = localKeys(data_dir);
  const [http_port, gateway_port] = [await freePort(), await freePort()];
  const cloud_url = `http://127.0.0.1:${http_port}`;
  const launchCloud = () => startCloud({ data_dir, http_port, keys, postgres, influx });
  let cloud = await launchCloud();
  const startGateway = () =>
    launchGateway({
      id: 'gateway-bench',
      port: gateway_port,
      data_dir,
      keys,
      cloud_url,
      certificate,
    });
  let gateway = await startGateway();
  return {
    keys,
    cloud_url,
    gateway_port,
    gateway_metrics_url: () => `http://127.0.0.1:${String(gateway.ready['http'])}/metrics`,
    postgres,
    influx,
    cloud: () => cloud,
    gateway: () => gateway,
    async stopCloud() {
      await cloud.stop();
    },
    async startCloud() {
      cloud = await launchCloud();
    },
    async replaceGateway() {
      gateway.kill('SIGKILL');
      await gateway.ended;
      gateway = await startGateway();
    },
    async stop() {
      await gateway.stop();
      await cloud.stop();
      await influx.stop();
      await postgres.stop();
    },
  };
}

export interface GatewayParts {
  id: string;
  port: number;
  data_dir: string;
  keys: LocalKeys;
  cloud_url: string;
  certificate?: DoorCertificate | undefined;
  stations_max?: number;
}

/** A gateway as a process of its own. */
export function launchGateway(parts: GatewayParts): Promise<LocalProcess> {
  const { id, port, data_dir, keys, cloud_url, certificate, stations_max } = parts;
  const door = { host: '127.0.0.1', port };
  return startProcess({
    name: id,
    entry: 'gateway/main.ts',
    args: [],
    data_dir,
    config: {
      id,
      listen: certificate
        ? { mqtts: { ...door, cert_file: certificate.cert_file, key_file: certificate.key_file } }
        : { mqtt: door },
      cloud: { url: cloud_url, token_file: keys.gateway_token_file },
      station_key_file: keys.station_token_public_file,
      http: { host: '127.0.0.1', port: 0 },
      limits: {
        messages_per_s: 100_000,
        ...(stations_max === undefined ? {} : { connections_max: stations_max, stations_max }),
      },
      log_level: 'info',
    },
  });
}

function startCloud(parts: {
  data_dir: string;
  http_port: number;
  keys: LocalKeys;
  postgres: TestPostgres;
  influx: TestInfluxd;
}): Promise<LocalProcess> {
  const { data_dir, http_port, keys, postgres, influx } = parts;
  const password_file = join(data_dir, 'influx.password');
  writeFileSync(password_file, `${influx.password}\n`, { mode: 0o600 });
  return startProcess({
    name: 'cloud',
    entry: 'cloud/main.ts',
    args: [],
    data_dir,
    config: {
      listen: { host: '127.0.0.1', port: http_port },
      data_dir: join(data_dir, 'cloud'),
      database: postgres.url,
      influx: {
        url: influx.url,
        flavour: 1,
        database: influx.database,
        username: influx.username,
        password_file,
      },
      gateway_token_file: keys.gateway_token_file,
      keys_dir: keys.directory,
      demo_visitor: true,
      seed: { stations: 'shandong' },
      log_level: 'info',
    },
  });
}
